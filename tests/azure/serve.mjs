// Serves Azure Blob Storage by Azurite until its input ends: node serve.mjs AZURITE STATE CONTAINER [FOLDER]
// Makes the container, with the files and marks of the folders in it, and then prints two lines: its endpoint and a token for the container.
import { createHmac } from "node:crypto";
import { readFileSync, readdirSync, writeSync } from "node:fs";
import { join, relative } from "node:path";

const [azurite, state, container, folder] = process.argv.slice(2);
const { AZURE_STORAGE_ACCOUNT_NAME: account, AZURE_STORAGE_ACCOUNT_KEY: key } = process.env;

// What a token says is signed in this order, and what it doesn't say as an empty line.
function token(fields, more) {
  const signed = [...fields.map(([, value]) => value), ...more].join("\n");
  const sig = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
  const said = fields.filter(([name, value]) => name && value);
  return new URLSearchParams([...said, ["sig", sig]]).toString();
}

// For all of the account (https://learn.microsoft.com/rest/api/storageservices/create-account-sas), and for the container
// alone (https://learn.microsoft.com/rest/api/storageservices/create-service-sas).
const [expires, version] = [["se", "2099-01-01T00:00:00Z"], ["sv", "2021-12-02"]];
const [start, addresses, protocols] = [["st", ""], ["sip", ""], ["spr", "https,http"]];
const of_account = token(
  [["", account], ["sp", "rwdlac"], ["ss", "b"], ["srt", "sco"], start, expires, addresses, protocols, version],
  ["", ""],
);
const of_container = token(
  [["sp", "racwdl"], start, expires, ["", `/blob/${account}/${container}`], ["si", ""], addresses, protocols, version, ["sr", "c"]],
  ["", "", "", "", "", "", ""],
);

// It chooses a port and says it in words. What it says of requests, with their tokens, is nobody's business.
process.stdout.write = () => true;
const listens = new Promise((resolve) => {
  console.log = (words) => {
    const found = /listens on (http:\S+)/.exec(words);
    if (found) resolve(`${found[1]}/${account}`);
  };
});
process.env.AZURITE_ACCOUNTS = `${account}:${key}`;
process.argv.splice(2, Infinity, "--blobPort", "0", "--location", state, "--skipApiVersionCheck", "--disableTelemetry");
await import(join(azurite, "node_modules/azurite/dist/src/blob/main.js"));
const endpoint = await listens;

async function put(path, headers, body) {
  const separator = path.includes("?") ? "&" : "?";
  const answer = await fetch(`${endpoint}/${container}${path}${separator}${of_account}`, { method: "PUT", headers, body });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

await put("?restype=container", {});
const entries = folder ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
for (const entry of entries) {
  const path = join(entry.parentPath, entry.name);
  // A folder is what consoles make of one: an empty blob whose name ends in a slash.
  const [mark, bytes] = entry.isDirectory() ? ["/", ""] : ["", readFileSync(path)];
  await put(`/${relative(folder, path)}${mark}`, { "x-ms-blob-type": "BlockBlob" }, bytes);
}
writeSync(1, `${endpoint}\n${of_container}\n`);
process.stdin.on("end", () => process.exit()).resume();
