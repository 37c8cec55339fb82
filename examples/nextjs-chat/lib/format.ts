export function digits(amount: number): string {
  return amount.toLocaleString("en-US");
}

export function sats(amount: number): string {
  return `${digits(amount)} ${amount === 1 ? "sat" : "sats"}`;
}

/** A sentence of the tool's, with its amounts as they are on the page. */
export function sentence(text: string): string {
  return text.replaceAll(/\b\d{4,}(?= sats?\b)/g, (amount) => digits(Number(amount)));
}

export function timeOf(at: number | string): string {
  return new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** Both ends of a long name, such as that of a node. */
export function ends(name: string): string {
  return name.length <= 18 ? name : `${name.slice(0, 8)}…${name.slice(-8)}`;
}

/** Host and path of a URL that a model wrote. */
export function placeOf(url: string | undefined): { readonly host: string; readonly path: string } {
  const parsed = URL.parse(url ?? "");
  return parsed === null ? { host: "", path: url ?? "" } : { host: parsed.host, path: parsed.pathname + parsed.search };
}
