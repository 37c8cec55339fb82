/** Tables for a terminal. Colours only where they are wanted: on a terminal, and not with NO_COLOR. */
import { styleText } from "node:util";

export type Style = "bold" | "dim" | "green" | "red" | "yellow";
export type Cell = string | { readonly text: string; readonly style: Style };

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);
const widthOf = (cell: Cell): number => [...textOf(cell)].length;

/** Rows in groups, with a line between groups. */
export function table(columns: readonly Column[], groups: readonly (readonly (readonly Cell[])[])[]): string {
  const rows = groups.flat();
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => widthOf(row[at] ?? ""))));

  const rule = (left: string, middle: string, right: string): string => paint("dim", left + widths.map((width) => "─".repeat(width + 2)).join(middle) + right);
  const line = (cells: readonly Cell[]): string => {
    const bar = paint("dim", "│");
    const padded = columns.map(({ align }, at) => {
      const cell = cells[at] ?? "";
      const space = " ".repeat((widths[at] ?? 0) - widthOf(cell));
      const text = typeof cell === "string" ? cell : paint(cell.style, cell.text);
      return align === "right" ? ` ${space}${text} ` : ` ${text}${space} `;
    });
    return bar + padded.join(bar) + bar;
  };

  return [
    rule("┌", "┬", "┐"),
    line(columns.map(({ title }) => ({ text: title, style: "bold" }))),
    ...groups.flatMap((group) => [rule("├", "┼", "┤"), ...group.map(line)]),
    rule("└", "┴", "┘"),
  ].join("\n");
}
