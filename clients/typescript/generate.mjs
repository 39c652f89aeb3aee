// Types from an OpenAPI document on standard input to standard output; called by tools/clients.py.
import { text } from "node:stream/consumers";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const U64_MAX = /"maximum": ?18446744073709551615\b/;
const number = ts.factory.createKeywordTypeNode(ts.SyntaxKind.NumberKeyword);
const bigint = ts.factory.createKeywordTypeNode(ts.SyntaxKind.BigIntKeyword);
const given = await text(process.stdin);
// Integers up to 2^64 - 1 may be bigints: a number is exact up to 2^53 only.
const document = JSON.parse(given.replaceAll(new RegExp(U64_MAX, "g"), '"format": "uint64"'));
const nodes = await openapiTS(document, {
  emptyObjectsUnknown: true,
  defaultNonNullable: false, // what has a default may be left out
  transform: (schema) => (schema.format === "uint64" ? ts.factory.createUnionTypeNode([number, bigint]) : undefined),
});
process.stdout.write(astToString(nodes));
