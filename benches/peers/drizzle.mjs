// drizzle's own loop over tenants: `node drizzle.mjs ENGINE TENANTS CONCURRENCY MIGRATIONS`. Its migrator, one connection a
// tenant, so many at once.
import { readFileSync } from "node:fs";

const [engine, list, concurrency, migrationsFolder] = process.argv.slice(2);
const left = readFileSync(list, "utf8").split("\n").filter(Boolean);

const open = {
  async postgres(url) {
    const { drizzle } = await import("drizzle-orm/postgres-js");
    const { migrate } = await import("drizzle-orm/postgres-js/migrator");
    const { default: postgres } = await import("postgres");
    const client = postgres(url, { max: 1, onnotice: () => {} });
    return [migrate, drizzle(client), () => client.end()];
  },
  async mysql(url) {
    const { drizzle } = await import("drizzle-orm/mysql2");
    const { migrate } = await import("drizzle-orm/mysql2/migrator");
    const { createConnection } = await import("mysql2/promise");
    const client = await createConnection(url);
    return [migrate, drizzle(client), () => client.end()];
  },
  async sqlite(url) {
    const { drizzle } = await import("drizzle-orm/libsql");
    const { migrate } = await import("drizzle-orm/libsql/migrator");
    const { createClient } = await import("@libsql/client");
    const client = createClient({ url: url.replace(/^sqlite:/, "file:").replace(/\?.*/, "") });
    return [migrate, drizzle(client), () => client.close()];
  },
}[engine];

async function work() {
  for (let url = left.pop(); url; url = left.pop()) {
    const [migrate, db, close] = await open(url);
    await migrate(db, { migrationsFolder });
    await close();
  }
}

await Promise.all(Array.from({ length: Number(concurrency) }, work));
