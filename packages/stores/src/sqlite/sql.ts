import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

export type Value = SQLInputValue;

/** A connection whose statements are prepared once each. Integers come as `bigint`: amounts are exact. */
export interface Sql {
  get<Row>(text: string, ...values: Value[]): Row | undefined;
  all<Row>(text: string, ...values: Value[]): Row[];
  /** Rows changed. */
  run(text: string, ...values: Value[]): number;
  /** Statements that are not worth preparing. */
  exec(text: string): void;
  close(): void;
}

export function sqlOn(db: DatabaseSync): Sql {
  const prepared = new Map<string, StatementSync>();
  const prepare = (text: string): StatementSync => {
    let statement = prepared.get(text);
    if (statement === undefined) {
      statement = db.prepare(text);
      statement.setReadBigInts(true);
      prepared.set(text, statement);
    }
    return statement;
  };
  return {
    get: <Row>(text: string, ...values: Value[]) => prepare(text).get(...values) as Row | undefined,
    all: <Row>(text: string, ...values: Value[]) => prepare(text).all(...values) as Row[],
    run: (text, ...values) => Number(prepare(text).run(...values).changes),
    exec: (text) => db.exec(text),
    close: () => db.close(),
  };
}

/** An optional text as SQLite has it, and back. */
export const orNull = <T>(value: T | undefined): T | null => value ?? null;
