/** JSON with integers beyond 2^53 as bigints, both ways: ids and payloads of 64 bits stay exact. */

const LARGE = /(?<![\d.])\d{16,}(?![\d.eE])/;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARK = `bigint-${crypto.randomUUID()}:`; // no text that anyone stores begins with it
const MARKED = new RegExp(`"${MARK}(-?\\d+)"`, "g");

export function parse(text: string): any {
  if (!LARGE.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKEN, (token) =>
    token.length < 16 || !/^-?\d+$/.test(token) || Number.isSafeInteger(Number(token)) ? token : `"${MARK}${token}"`,
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

export function stringify(value: unknown, indent?: number): string {
  let large = false;
  const text = JSON.stringify(
    value,
    (_, one: unknown) => {
      if (typeof one !== "bigint") return one;
      large = true;
      return MARK + one;
    },
    indent,
  );
  return large ? text.replace(MARKED, "$1") : text;
}
