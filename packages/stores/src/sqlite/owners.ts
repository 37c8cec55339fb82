/** Which process an owner was, so that the next one need not wait for the leases of one that is gone. */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { OPEN } from "./rows.ts";
import type { Sql } from "./sql.ts";

/** An owner without an unresolved payment is forgotten after that many ms. */
const FORGET_MS = 86_400_000;

interface OwnerRow {
  readonly pid: bigint;
  readonly started: string | null;
  readonly place: string;
}

const attempt = (read: () => string): string | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

/**
 * When a process was started, in clock ticks since boot (proc_pid_stat(5), field 22): a process id is used again, this is
 * not. `gone`: it has ended, and only its parent has not looked yet.
 */
function startOf(pid: number | "self"): string | undefined {
  // The second field is the command in brackets, and may hold anything; the third, the state, comes after the last bracket.
  const fields = attempt(() => readFileSync(`/proc/${pid}/stat`, "latin1"))?.replace(/^.*\) /s, "").split(" ");
  return fields?.[0] === "Z" || fields?.[0] === "X" ? "gone" : fields?.[19];
}

/** Where process ids mean what they mean here: this host, since this boot, in this namespace. */
function herePlace(): { host: string; boot: string } {
  const boot = attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim());
  const namespace = attempt(() => readlinkSync("/proc/self/ns/pid"));
  return { host: `${hostname()} ${namespace ?? ""}`, boot: boot ?? "" };
}

/** The process of an owner: what stands before the first slash. */
export function processOf(owner: string): string {
  return owner.split("/", 1)[0] as string;
}

/** Puts this process on record as `owner`. */
export function noteOwner(sql: Sql, owner: string, at: number): void {
  const { host, boot } = herePlace();
  sql.run(`DELETE FROM owner WHERE at < ? AND NOT EXISTS (SELECT 1 FROM payment INDEXED BY payment_open WHERE (payment.owner = owner.owner OR payment.owner LIKE owner.owner || '/%') AND state IN ${OPEN})`, at - FORGET_MS);
  sql.run("INSERT OR REPLACE INTO owner VALUES (?, ?, ?, ?, ?)", owner, process.pid, startOf("self") ?? null, JSON.stringify([host, boot]), at);
}

/** Whether the process of `owner` lives; `undefined`: that cannot be told from here. */
export function isAlive(sql: Sql, owner: string): boolean | undefined {
  const row = sql.get<OwnerRow>("SELECT pid, started, place FROM owner WHERE owner = ?", processOf(owner));
  if (row === undefined) return undefined;
  const here = herePlace();
  const [host, boot] = JSON.parse(row.place) as [string, string];
  if (host !== here.host) return undefined;
  if (boot !== here.boot) return false; // this host was started anew since
  const pid = Number(row.pid);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code === "ESRCH") return false;
    // It is there, and is somebody else's.
  }
  const started = startOf(pid);
  return row.started === null || started === undefined ? undefined : started === row.started;
}
