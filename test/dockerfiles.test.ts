import { expect } from 'chai';
import { access, readFile } from 'node:fs/promises';

const folder = new URL('../modules/registry/', import.meta.url);
const read = (url: URL): Promise<string> => readFile(url, 'utf8');
const { image } = JSON.parse(await read(new URL('module.json', folder))) as {
  image: { tag: { version: string; platforms: Record<string, string> } };
};
const { scripts } = JSON.parse(await read(new URL('../package.json', import.meta.url))) as {
  scripts: { start: string };
};
const { start } = scripts;
const files = new Map<string, string>();
for (const [platform, file] of Object.entries(image.tag.platforms)) {
  files.set(platform, await read(new URL(file, folder)));
}

/** What may differ between the Dockerfiles. */
const differing = /^ARG (PLATFORM|NODE_IMAGE|NODE_TAG|PREBUILDS)=.*$/gm;

describe('the Dockerfiles of module.json', () => {
  it('differ in base image and platform only', () => {
    const texts = [...files.values()].map((text) => text.replaceAll(differing, 'ARG $1'));
    expect(texts).to.have.length(3);
    for (const text of texts) expect(text).to.equal(texts[0]);
  });

  for (const [platform, text] of files) {
    it(`name ${platform} and its LevelDB, the version of module.json and the options of npm start`, async () => {
      const argument = (name: string): string => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(text)?.[1] ?? '';
      expect(argument('PLATFORM')).to.equal(
        { amd64: 'linux/amd64', arm64v8: 'linux/arm64', arm32v7: 'linux/arm/v7' }[platform],
      );
      expect(argument('NODE_IMAGE')).to.equal(`${platform}/node`);
      const prebuilds = new URL(`../node_modules/classic-level/prebuilds/${argument('PREBUILDS')}/`, import.meta.url);
      const suffix = { amd64: '', arm64v8: '.armv8', arm32v7: '.armv7' }[platform];
      await access(new URL(`classic-level${String(suffix)}.node`, prebuilds));
      expect(argument('NODE_TAG')).to.match(/^\d+-bookworm-slim$/);
      const [, options] = /exec node (.+) dist\//.exec(start) ?? [];
      const [, entry] = /^ENTRYPOINT (.+)$/m.exec(text) ?? [];
      expect(JSON.parse(entry ?? '')).to.deep.equal([...['node', ...(options ?? '').split(' ')], '/app/dist/main.js']);
      expect(text).to.contain(`\nARG VERSION=${image.tag.version}\n`);
    });
  }
});
