// Serves emulate's GitHub on a free port of loopback until standard input ends.
//
//     node serve.mjs FOLDER SEED
//
// FOLDER holds node_modules with `emulate` in it, SEED is a file of JSON. Prints where it listens.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, seed] = process.argv.slice(2);
// Its module, not its program: that one cannot begin with a free port, and wants a newer node.
const { createEmulator } = await import(pathToFileURL(join(folder, "node_modules/emulate/dist/api.js")));
const forge = await createEmulator({ service: "github", port: 0, seed: JSON.parse(readFileSync(seed, "utf8")) });
console.log(forge.url.replace("localhost", "127.0.0.1"));
process.stdin.on("end", () => forge.close().then(() => process.exit(0)));
process.stdin.resume();
