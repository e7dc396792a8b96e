// Is each of these files HCL?
//
// Asks HashiCorp's own parser, compiled to WebAssembly, and prints a line for each file that is not.
const { readFileSync } = require("node:fs");
const { parse } = require("@cdktf/hcl2json");

async function main() {
  for (const file of process.argv.slice(2)) {
    try {
      await parse(file, readFileSync(file, "utf8"));
    } catch (problem) {
      console.log(`${file}: ${problem.message ?? problem}`);
      process.exitCode = 1;
    }
  }
}

main();
