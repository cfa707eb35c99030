import { expect } from 'chai';
import { encodeRecord } from '../../modules/registry/src/oci/content-records.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { descriptorOf, sampleImage } from '../helpers/images.ts';
import { repository } from '../helpers/names.ts';
import { answerError, withParent, type Scene, type Seen, type Script } from './scripted-registry.ts';

const hello = repository('plant/hello');
const { manifest } = sampleImage(['layer']);
const [a, b] = [Buffer.from('content a'), Buffer.from('content b')];
const [blobA, blobB] = [a, b].map((bytes) => descriptorOf(bytes, 'application/octet-stream')) as [Blob, Blob];
type Blob = ReturnType<typeof descriptorOf>;
const self = { registryName: 'plant7line3', instanceId: 'this-instance', version: '0.1.0' };
const posted = 'POST /acr/gateway/plant7line3/contents';

/** A parent of our kind that answers contents as `script` wants it, and everything else as it is. */
const ours =
  (script: Script): Script =>
  (seen, response) => {
    if (seen.method === 'PUT') return response.writeHead(200, { 'connected-registry': 'gateway' }).end('{}');
    if (seen.method === 'POST') return script(seen, response);
    const bytes = [manifest.bytes, a, b].find((one) => seen.line.endsWith(digestOf(one)));
    if (bytes) response.writeHead(200, { 'content-type': manifest.mediaType }).end(bytes);
    else answerError(response, 404, 'BLOB_UNKNOWN');
    return undefined;
  };

const records = (...contents: Parameters<typeof encodeRecord>[0][]): Buffer =>
  Buffer.concat(contents.map((content) => encodeRecord(content)));

const withOurs = (script: Script, body: (scene: Scene) => Promise<unknown>): Promise<void> =>
  withParent(
    ours(script),
    async (scene) => {
      await scene.parent.activate({ mode: 'ReadOnly', repositories: [] });
      scene.lines.length = 0;
      await body(scene);
    },
    { self, patience: { attempts: 1 } },
  );

const { signal } = new AbortController();
/** The manifest and both blobs, at the same time. */
const askAll = (parent: ParentRegistry) =>
  Promise.all([
    parent.findManifest(hello, manifest.digest, { signal }),
    parent.readSmallBlob?.(hello, blobA, { signal }),
    parent.readSmallBlob?.(hello, blobB, { signal }),
  ]);
const wantedIn = ({ body }: Seen): unknown => (JSON.parse(body.toString()) as { wanted: unknown }).wanted;

describe('small contents of a parent of our kind', () => {
  it('come in one answer, when they are asked for at the same time', async () => {
    const answer = records(manifest, { bytes: a }, { bytes: b });
    await withOurs(
      (_, response) => response.end(answer),
      async ({ parent, lines, seen }) => {
        expect(await askAll(parent)).to.deep.equal([manifest, a, b]);
        expect(lines).to.deep.equal([posted]);
        expect(wantedIn(seen.at(-1)!)).to.deep.equal([
          { repository: hello, manifest: manifest.digest },
          { repository: hello, blob: blobA.digest },
          { repository: hello, blob: blobB.digest },
        ]);
      },
    );
  });

  it('wait for the next answer while two are on their way', async () => {
    const waiting: (() => void)[] = [];
    let arrived = (): void => undefined;
    const counts: number[] = [];
    const script: Script = (seen, response) => {
      const wanted = wantedIn(seen) as unknown[];
      counts.push(wanted.length);
      const answer = (): unknown => response.end(records(...wanted.map(() => ({ bytes: a }))));
      if (counts.length > 2) return answer();
      waiting.push(() => void answer());
      arrived();
      return undefined;
    };
    await withOurs(script, async ({ parent }) => {
      const read = () => parent.readSmallBlob!(hello, blobA, { signal });
      const next = (): Promise<void> => new Promise((resolve) => (arrived = resolve));
      const asked: Promise<unknown>[] = [];
      for (const expected of [1, 2]) {
        const coming = next();
        asked.push(read());
        await coming;
        expect(counts).to.have.length(expected);
      }
      asked.push(...Array.from({ length: 5 }, read));
      for (const answer of waiting) answer();
      expect(await Promise.all(asked)).to.deep.equal(Array(7).fill(a));
      expect(counts).to.deep.equal([1, 1, 5]);
    });
  });

  for (const [what, answer] of [
    ['other content', records({ ...manifest, bytes: b }, { bytes: b }, { bytes: a })],
    ['nothing', records({}, {}, {})],
    ['a manifest of a kind nobody knows', records({ ...manifest, mediaType: 'text/plain' }, {}, {})],
    ['too few', records()],
    ['a page', Buffer.from('<html>Please log in</html>')],
  ] as const) {
    it(`are asked for alone, where the answer holds ${what}`, async () => {
      await withOurs(
        (_, response) => response.end(answer),
        async ({ parent, lines }) => {
          expect(await askAll(parent)).to.deep.equal([manifest, undefined, undefined]);
          expect(lines).to.deep.equal([posted, `GET /v2/plant/hello/manifests/${manifest.digest}`]);
        },
      );
    });
  }

  it('that came before the answer was cut are good', async () => {
    const answer = records(manifest, { bytes: a }, { bytes: b });
    await withOurs(
      (_, response) => response.writeHead(200).write(answer.subarray(0, -1), () => response.destroy()),
      async ({ parent }) => {
        expect(await askAll(parent)).to.deep.equal([manifest, a, undefined]);
      },
    );
  });

  it('that nobody asked for are not taken', async () => {
    const answer = records(manifest, { bytes: a }, { bytes: b }, { bytes: a });
    await withOurs(
      (_, response) => response.end(answer),
      async ({ parent, log }) => {
        expect(await askAll(parent)).to.deep.equal([manifest, a, b]);
        await new Promise((resolve) => setImmediate(resolve));
        expect(log.lines.map(({ message }) => message).join('\n')).to.include('did not come together');
      },
    );
  });

  it('are not asked for again for an hour at an older one', async () => {
    await withOurs(
      (_, response) => answerError(response, 404, 'NOT_FOUND'),
      async ({ parent, lines, clock }) => {
        expect(await askAll(parent)).to.deep.equal([manifest, undefined, undefined]);
        expect(parent.readSmallBlob).to.equal(undefined);
        await parent.findManifest(hello, manifest.digest, { signal });
        expect(lines.filter((line) => line === posted)).to.have.length(1);
        await clock.advance(3_600_000);
        expect(parent.readSmallBlob).to.be.a('function');
      },
    );
  });

  it('end with the signal under which they were asked for', async () => {
    const stop = new AbortController();
    await withOurs(
      () => stop.abort(new Error('window closed')),
      async ({ parent }) => {
        const asked = [
          parent.readSmallBlob!(hello, blobA, { signal: stop.signal }),
          parent.findManifest(hello, manifest.digest, { signal: stop.signal }),
        ];
        for (const one of await Promise.allSettled(asked)) {
          expect(one).to.deep.include({ status: 'rejected', reason: stop.signal.reason as Error });
        }
      },
    );
  });

  it('are asked for alone by those who wait for an answer, and by tag', async () => {
    await withOurs(
      () => expect.fail('not to be asked'),
      async ({ parent, lines }) => {
        await parent.findManifest(hello, manifest.digest, { signal, isUrgent: true });
        expect(lines).to.deep.equal([`GET /v2/plant/hello/manifests/${manifest.digest}`]);
      },
    );
  });
});

describe('small contents of any other parent', () => {
  it('are asked for alone', async () => {
    const other: Script = (seen, response) =>
      seen.line.endsWith(manifest.digest)
        ? response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest.bytes)
        : answerError(response, 404, 'NOT_FOUND');
    await withParent(
      other,
      async ({ parent, lines }) => {
        expect(await parent.activate({ mode: 'ReadOnly', repositories: [] })).to.equal(false);
        await parent.findManifest(hello, manifest.digest, { signal });
        expect(parent.readSmallBlob).to.equal(undefined);
        expect(lines).to.not.include(posted);
      },
      { self },
    );
  });
});
