// Serves Azure Blob Storage by Azurite until its input ends: node serve.mjs AZURITE STATE CONTAINER [FOLDER]
// Makes the container, with the files of the folder in it, and then prints two lines: its endpoint and a SAS token.
import { createHmac } from "node:crypto";
import { readFileSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";

const [azurite, state, container, folder] = process.argv.slice(2);
const { AZURE_STORAGE_ACCOUNT_NAME: account, AZURE_STORAGE_ACCOUNT_KEY: key } = process.env;

// A token for all that an account's key may do (https://learn.microsoft.com/rest/api/storageservices/create-account-sas).
const token = { sp: "rwdlac", ss: "b", srt: "sco", st: "", se: "2099-01-01T00:00:00Z", sip: "", spr: "https,http", sv: "2021-12-02" };
const signed = [account, ...Object.values(token), "", ""].join("\n");
token.sig = createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
const sas = new URLSearchParams(Object.entries(token).filter(([, value]) => value !== "")).toString();

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
  const answer = await fetch(`${endpoint}/${container}${path}${separator}${sas}`, { method: "PUT", headers, body });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

await put("?restype=container", {});
const entries = folder ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
for (const entry of entries.filter((entry) => entry.isFile())) {
  const file = join(entry.parentPath, entry.name);
  await put(file.slice(folder.length), { "x-ms-blob-type": "BlockBlob" }, readFileSync(file));
}
writeSync(1, `${endpoint}\n${sas}\n`);
process.stdin.on("end", () => process.exit()).resume();
