// Renders every file of a folder into another: node nunjucks.cjs FROM TO NAME=VALUE…
const fs = require("node:fs");
const path = require("node:path");
const nunjucks = require("nunjucks");

const [from, to, ...given] = process.argv.slice(2);
const inputs = Object.fromEntries(given.map((one) => one.split("=", 2)));
const environment = new nunjucks.Environment(null, { autoescape: false, throwOnUndefined: true });
for (const name of fs.readdirSync(from)) {
  const target = path.join(to, environment.renderString(name, inputs));
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, environment.renderString(fs.readFileSync(path.join(from, name), "utf8"), inputs));
}
