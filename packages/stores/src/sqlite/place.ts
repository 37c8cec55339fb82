/** The file's place: its folder, its mode, and whether its locks can be trusted. */
import { StoreError } from "@l402-tools/core";
import { closeSync, existsSync, mkdirSync, openSync, statfsSync } from "node:fs";
import { dirname } from "node:path";

/** `f_type` of file systems whose locks or syncs may not reach the disk of another host (Linux, statfs(2)). */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x01021997, "9p"],
  [0x65735546, "FUSE"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x564c, "NCP"],
]);

/** The name of the network file system with this `f_type`, if it is one. */
export function networkFileSystem(type: number | bigint): string | undefined {
  return NETWORK.get(Number(BigInt.asUintN(32, BigInt(type))));
}

/** One by one: with `recursive`, Node tries for ever where nothing can be made (in /proc, for one). */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!existsSync(folder)) throw error; // else another process made it just now
  }
}

/** Makes the folder (0700) and the file (0600) if they are not there. @throws {StoreError} */
export function preparePlace(path: string, allowNetworkFileSystem: boolean): void {
  const folder = dirname(path);
  try {
    makeFolder(folder);
    const network = process.platform === "linux" ? networkFileSystem(statfsSync(folder).type) : undefined;
    if (network !== undefined && !allowNetworkFileSystem) {
      throw new StoreError("store_unavailable", `The ledger ${path} would be on a network file system (${network}), where locks between processes may not hold. Use a local disk, or a server store; if one process alone uses it: allowNetworkFileSystem.`);
    }
    // Only a file that is not there is opened here: closing one that SQLite has open in this process drops its locks.
    if (!existsSync(path)) closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST" && existsSync(path)) return; // another process made it just now
    if ((error as { code?: string }).code === "store_unavailable") throw error;
    throw new StoreError("store_unavailable", `The ledger ${path} cannot be made: ${(error as Error).message}.`, { cause: error });
  }
}
