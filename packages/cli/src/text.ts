/** Text for terminals: strangers' words made harmless, amounts, times, and tables. */
import { stripVTControlCharacters, styleText } from "node:util";

/** Control, format (bidirectional, zero-width, tag) and private-use characters, lone surrogates, line separators. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]+/gu;
/** The same in JSON, where line breaks between values are ours. */
const INVISIBLE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** One line without anything that is not seen. */
export function harmless(text: string): string {
  return text.replaceAll(INVISIBLE, " ").trim();
}

/** A stranger's words in quotation marks, at most `most` characters. */
export function quoted(text: string, most: number): string {
  const line = harmless(text);
  return `"${(line.length <= most ? line : `${line.slice(0, most - 1)}…`).replaceAll('"', "'")}"`;
}

/** JSON that moves no cursor, whatever is in it. */
export function json(value: unknown, indent?: number): string {
  const escape = (char: string): string => Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");
  return JSON.stringify(value, null, indent).replaceAll(INVISIBLE_IN_JSON, escape);
}

export const sats = (count: number): string => `${count} ${count === 1 ? "sat" : "sats"}`;
export const short = (paymentHash: string): string => paymentHash.slice(0, 12);
export const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}Z`;

/** How long ago, in its largest unit. */
export function age(ms: number): string {
  for (const [unit, length] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
  ] as const) {
    if (ms >= length) return `${Math.floor(ms / length)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(ms / 1_000))} s`;
}

/** Scheme, host and path: a query may hold what is nobody else's business. */
export function place(url: string): string {
  const parsed = URL.parse(url);
  return harmless(parsed === null ? url : `${parsed.origin}${parsed.pathname}${parsed.search === "" ? "" : "?…"}`);
}

export type Paint = (style: "bold" | "dim" | "green" | "yellow" | "red", text: string) => string;

export function painter(colours: boolean): Paint {
  return (style, text) => (colours ? styleText(style, text, { validateStream: false }) : text);
}

export interface Column {
  readonly title: string;
  readonly align?: "right";
}

/**
 * Lines of a table: a bold heading, and a line for each row. The last column is cut where the line would be wider than
 * the terminal. (All cells but the last are of our own, of one column a character; so this is all that it takes.)
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], paint: Paint, width?: number): string[] {
  const seen = (cell: string): number => stripVTControlCharacters(cell).length;
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => seen(row[at] ?? ""))));
  const last = columns.length - 1;
  const line = (cells: readonly string[]): string => {
    const parts = columns.map(({ align }, at) => {
      const cell = cells[at] ?? "";
      const room = " ".repeat(Math.max(0, (widths[at] ?? 0) - seen(cell)));
      return align === "right" ? room + cell : at === last ? cell : cell + room;
    });
    const before = parts.slice(0, last).join("  ");
    const end = parts[last] ?? "";
    const most = width === undefined ? Number.POSITIVE_INFINITY : Math.max(16, width - seen(before) - 2);
    const cut = seen(end) > most && seen(end) === end.length ? `${end.slice(0, most - 1)}…` : end;
    return `${before}${columns.length > 1 ? "  " : ""}${cut}`.trimEnd();
  };
  return [paint("bold", line(columns.map(({ title }) => title))), ...rows.map(line)];
}
