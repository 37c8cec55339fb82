/** The documents agree with the project's part of Blink's schema, and both with the published schema where it is at hand. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSchema, isEnumType, isInputObjectType, isInterfaceType, isObjectType, isUnionType, parse, validate, type GraphQLField, type GraphQLInputField, type GraphQLSchema } from "graphql";
import { describe, expect, test } from "vitest";
import * as documents from "../src/blink-documents.ts";

const read = (path: URL): GraphQLSchema => buildSchema(readFileSync(path, "utf8"));
const ours = read(new URL("blink.graphql", import.meta.url));
const published = new URL("../../../../shared/data/blink-schema.graphql", import.meta.url);

/** Everything that a schema says, one statement a line. */
function statements(schema: GraphQLSchema): string[] {
  const lines: string[] = [];
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith("__")) continue;
    lines.push(`${type.constructor.name} ${type.name}`);
    if (isEnumType(type)) for (const value of type.getValues()) lines.push(`${type.name}.${value.name}`);
    if (isUnionType(type)) for (const member of type.getTypes()) lines.push(`${type.name} = ${member.name}`);
    if (isObjectType(type)) for (const one of type.getInterfaces()) lines.push(`${type.name} implements ${one.name}`);
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields()) as (GraphQLField<unknown, unknown> | GraphQLInputField)[]) {
      lines.push(`${type.name}.${field.name}: ${field.type.toString()}`);
      for (const arg of "args" in field ? field.args : []) lines.push(`${type.name}.${field.name}(${arg.name}: ${arg.type.toString()})`);
    }
  }
  return lines;
}

const named = Object.entries(documents);

test("there are documents", () => expect(named.map(([name]) => name).sort()).toEqual(["BALANCE", "FEE_PROBE", "INTRALEDGER_PREIMAGE", "LOOKUP", "PAY"]));

test.each(named)("%s is valid in the project's schema, and has one operation", (_, document) => {
  const parsed = parse(document);
  expect(validate(ours, parsed)).toEqual([]);
  expect(parsed.definitions).toHaveLength(1);
});

describe.skipIf(!existsSync(fileURLToPath(published)))("against the published schema", () => {
  test("the project's part says nothing that the published schema does not", () => {
    const known = new Set(statements(read(published)));
    expect(statements(ours).filter((line) => !known.has(line))).toEqual([]);
  });

  test("enums of the part are whole: no status can come that is not known", () => {
    const values = (schema: GraphQLSchema, name: string): string[] => {
      const type = schema.getType(name);
      return isEnumType(type) ? type.getValues().map((value) => value.name).sort() : [];
    };
    const full = read(published);
    for (const name of ["PaymentSendResult", "TxStatus", "TxDirection", "WalletCurrency"]) expect(values(ours, name), name).toEqual(values(full, name));
  });

  test.each(named)("%s is valid", (_, document) => expect(validate(read(published), parse(document))).toEqual([]));
});
