// Makes a container, with a signature by the account's key: node container.mjs ENDPOINT NAME
import { createHmac } from "node:crypto";

const [endpoint, name] = process.argv.slice(2);
const { AZURE_STORAGE_ACCOUNT_NAME: account, AZURE_STORAGE_ACCOUNT_KEY: key } = process.env;
const headers = { "x-ms-date": new Date().toUTCString(), "x-ms-version": "2023-11-03" };
const named = Object.entries(headers).map(([header, value]) => `${header}:${value}\n`).join("");
const resource = `/${account}${new URL(endpoint).pathname}/${name}\nrestype:container`;
const signed = createHmac("sha256", Buffer.from(key, "base64")).update(`PUT${"\n".repeat(12)}${named}${resource}`);
headers.authorization = `SharedKey ${account}:${signed.digest("base64")}`;

// The server may not listen yet.
for (let attempt = 0; ; attempt++) {
  try {
    const answer = await fetch(`${endpoint}/${name}?restype=container`, { method: "PUT", headers });
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    break;
  } catch (error) {
    if (attempt >= 300) throw error;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
