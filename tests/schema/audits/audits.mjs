// The official GraphQL-over-HTTP audits against the endpoint given: node audits.mjs http://127.0.0.1:8123/graphql/
import { auditServer } from 'graphql-http';

const results = await auditServer({ url: process.argv[2] });
const failed = results.filter((result) => result.status !== 'ok');
for (const result of failed) {
  console.error(`${result.status} ${result.id} ${result.name}: ${result.reason}`);
}
console.log(`GraphQL over HTTP: ${results.length - failed.length} of ${results.length} audits.`);
process.exit(failed.length || results.length !== 61 ? 1 : 0);
