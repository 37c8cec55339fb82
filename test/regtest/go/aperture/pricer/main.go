// Command pricer is a price server for aperture's dynamic prices. It reads a JSON object of path to satoshis from a
// file at each call, so that whoever writes the file sets the prices.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/lightninglabs/aperture/pricesrpc"
	"google.golang.org/grpc"
)

type prices struct {
	pricesrpc.UnimplementedPricesServer
	file string
}

func (p *prices) GetPrice(_ context.Context, req *pricesrpc.GetPriceRequest) (*pricesrpc.GetPriceResponse, error) {
	text, err := os.ReadFile(p.file)
	if err != nil {
		return nil, err
	}
	var list map[string]int64
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	sats, ok := list[req.Path]
	if !ok {
		return nil, fmt.Errorf("%s has no price", req.Path)
	}
	return &pricesrpc.GetPriceResponse{PriceSats: sats}, nil
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: pricer <address> <file>")
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	pricesrpc.RegisterPricesServer(server, &prices{file: os.Args[2]})
	log.Fatal(server.Serve(listener))
}
