import { createClientToken, createTokenUsage } from './client-token.ts';

/** Password to stderr, for a person; JSON to stdout, for `clientTokens`. */
async function main(): Promise<void> {
  try {
    const { password, clientToken } = await createClientToken(process.argv.slice(2), new Date());
    console.error(`Password of ${clientToken.name}, shown only now: ${password}`);
    console.log(JSON.stringify(clientToken, undefined, 2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(`Usage: ${createTokenUsage}`);
    process.exitCode = 2;
  }
}

await main();
