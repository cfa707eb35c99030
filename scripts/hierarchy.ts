import { hierarchyCommand, hierarchyUsage } from './hierarchy/hierarchy-command.ts';

/** What changes to stdout; new passwords, and what is refused (exit code 2), to stderr. */
async function main(): Promise<void> {
  try {
    const { report, secrets } = await hierarchyCommand(process.argv.slice(2), process.env);
    console.log(report.join('\n'));
    for (const secret of secrets) console.error(secret);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error(`Usage: ${hierarchyUsage}`);
    process.exitCode = 2;
  }
}

await main();
