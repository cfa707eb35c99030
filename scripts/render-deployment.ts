import { RenderError, renderFiles, renderUsage } from './deployment/render-files.ts';

/** What was made to stdout; what is refused to stderr, with exit code 2. */
async function main(): Promise<void> {
  try {
    const { file, description, command } = await renderFiles(process.argv.slice(2), process.env);
    const lines = [`${file} (holds passwords)`, ...description.map((line) => `  ${line}`), `Apply it: ${command}`];
    console.log(lines.join('\n'));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    if (!(error instanceof RenderError)) console.error(`Usage: ${renderUsage}`);
    process.exitCode = 2;
  }
}

await main();
