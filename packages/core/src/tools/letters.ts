/** Reads a stranger's text by its letters and digits alone, so that a word is found however it is spelled. */

/** A character as URLs, JavaScript, JSON and HTML write it. */
const ESCAPE = /%([0-9a-f]{2})|\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|&#x0{0,4}([0-9a-f]{1,6});|&#0{0,4}(\d{1,7});/gi;

/** The letters and digits of `text`, in lower case. `escapes`: also those that are written as an escape. */
export function lettersOf(text: string, escapes: boolean): string {
  return folded(escapes ? text.replaceAll(ESCAPE, (_, ...codes: string[]) => unescaped(codes)) : text);
}

/** Where in `text` each of its letters begins and ends. */
export function placesOf(text: string, escapes: boolean): { readonly starts: readonly number[]; readonly ends: readonly number[] } {
  const starts: number[] = [];
  const ends: number[] = [];
  const add = (start: number, end: number, letters: string): void => {
    for (let left = letters.length; left > 0; left -= 1) {
      starts.push(start);
      ends.push(end);
    }
  };
  const read = (from: number, to: number): void => {
    for (let at = from; at < to; ) {
      const char = String.fromCodePoint(text.codePointAt(at) as number);
      add(at, at + char.length, folded(char));
      at += char.length;
    }
  };
  let at = 0;
  for (const match of escapes ? text.matchAll(ESCAPE) : []) {
    const end = match.index + match[0].length;
    read(at, match.index);
    add(match.index, end, folded(unescaped(match.slice(1))));
    at = end;
  }
  read(at, text.length);
  return { starts, ends };
}

function unescaped([percent, x, u, hex, decimal]: readonly (string | undefined)[]): string {
  const digits = percent ?? x ?? u ?? hex;
  const point = digits === undefined ? Number(decimal) : Number.parseInt(digits, 16);
  return point > 0x10ffff ? "" : String.fromCodePoint(point);
}

function folded(text: string): string {
  return text.normalize("NFKD").replaceAll(/[^0-9A-Za-z]+/g, "").toLowerCase();
}
