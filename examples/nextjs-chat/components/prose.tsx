/** A model's words: paragraphs, lists and bold, and nothing else of Markdown. Text stays text. */
import { Fragment } from "react";

export function Prose({ text }: { text: string }) {
  return text
    .trim()
    .split(/\n{2,}/)
    .map((block, at) => <Block key={at} lines={block.split("\n")} />);
}

function Block({ lines }: { lines: readonly string[] }) {
  const first = lines.findIndex((line) => /^\s*[-*] /.test(line));
  const prose = first === -1 ? lines : lines.slice(0, first);
  const items = first === -1 ? [] : lines.slice(first).map((line) => line.replace(/^\s*[-*] /, ""));
  return (
    <>
      {prose.length > 0 && (
        <p>
          <Bold text={prose.join("\n")} />
        </p>
      )}
      {items.length > 0 && (
        <ul>
          {items.map((item, at) => (
            <li key={at}>
              <Bold text={item} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Bold({ text }: { text: string }) {
  return text.split("**").map((piece, at) => (at % 2 === 1 ? <strong key={at}>{piece}</strong> : <Fragment key={at}>{piece}</Fragment>));
}
