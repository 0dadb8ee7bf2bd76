// Runs the built edge Worker in workerd, until standard input closes.
//
//   node worker.mjs <repository> <bindings as JSON>
//
// Prints `ready <url>` once it serves.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [root, bindings] = process.argv.slice(2);
const { Miniflare } = createRequire(join(root, "package.json"))("miniflare");

const wrangler = readFileSync(join(root, "wrangler.toml"), "utf8");
const setting = (name) => wrangler.match(new RegExp(`^${name} = "([^"]+)"`, "m"))[1];

const worker = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  rootPath: root,
  modules: true,
  modulesRoot: root,
  modulesRules: [
    { type: "ESModule", include: ["**/*.js"] },
    { type: "CompiledWasm", include: ["**/*.wasm"] },
  ],
  scriptPath: setting("main"),
  compatibilityDate: setting("compatibility_date"),
  bindings: JSON.parse(bindings),
});

const stop = () => worker.dispose().finally(() => process.exit(0));
process.stdin.on("end", stop).on("close", stop).resume();
console.log(`ready ${await worker.ready}`);
