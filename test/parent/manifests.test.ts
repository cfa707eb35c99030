import { expect } from 'chai';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { manifestMediaTypes, mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { patiently } from '../sync/patiently.ts';
import { answerError, failureOf, withParent, type Script } from './scripted-registry.ts';

const plant = repository('plant/hello');
const { manifest } = sampleImage(['layer']);
const { digest, mediaType, bytes } = manifest;
const stranger = sampleImage(['another']).manifest.digest;

/** GET answers the manifest with `headers`, HEAD the same without its bytes. */
function serving(headers: Record<string, string>, body = bytes): Script {
  return ({ method }, response) => response.writeHead(200, headers).end(method === 'HEAD' ? undefined : body);
}

describe('resolveTag()', () => {
  it('keeps its connections over HEAD requests', async () => {
    const sockets = new Set<unknown>();
    const script: Script = (_, response) => {
      sockets.add(response.socket);
      response.writeHead(200, { 'docker-content-digest': digest, 'content-length': bytes.length }).end();
    };
    await withParent(script, async ({ parent }) => {
      for (let count = 0; count < 10; count += 1) await parent.resolveTag(plant, tag('1'));
      // The pool may open another while an answer comes to its end.
      expect(sockets.size).to.be.at.most(2);
    });
  });

  it('gets along with a server that answers HEAD with a body', async () => {
    const script: Script = (_, response) => {
      const head = `HTTP/1.1 200 OK\r\nDocker-Content-Digest: ${digest}\r\nContent-Length: ${bytes.length}\r\n\r\n`;
      response.socket?.write(Buffer.concat([Buffer.from(head), bytes]));
    };
    await withParent(script, async ({ parent, clock }) => {
      for (const name of ['1', '2', '3']) {
        expect(await patiently(clock, parent.resolveTag(plant, tag(name)))).to.equal(digest);
      }
    });
  });
});

describe('findManifest()', () => {
  it('accepts every manifest media type', async () => {
    await withParent(serving({ 'content-type': mediaType }), async ({ parent, seen }) => {
      expect(await parent.findManifest(plant, digest)).to.deep.equal(manifest);
      expect(seen[0]?.headers.accept?.split(', ')).to.have.members([...manifestMediaTypes]);
    });
  });

  it('is undefined for 404', async () => {
    await withParent(
      (_, response) => answerError(response, 404, 'MANIFEST_UNKNOWN'),
      async ({ parent }) => expect(await parent.findManifest(plant, tag('1'))).to.equal(undefined),
    );
  });

  it('is broken when the bytes have another digest than was asked for, or announced', async () => {
    await withParent(serving({ 'docker-content-digest': stranger }), async ({ parent }) => {
      expect(await failureOf(parent.findManifest(plant, stranger))).to.include({
        failure: 'broken',
        status: undefined,
      });
      expect(await failureOf(parent.findManifest(plant, tag('1')))).to.include({ failure: 'broken' });
      expect(await parent.findManifest(plant, digest)).to.have.property('digest', digest);
    });
  });

  it('has the sha256 digest when none was announced, and sha512 when asked for', async () => {
    await withParent(serving({ 'content-type': mediaType }), async ({ parent }) => {
      expect(await parent.findManifest(plant, tag('1'))).to.deep.equal(manifest);
      const sha512 = digestOf(bytes, 'sha512');
      expect(await parent.findManifest(plant, sha512)).to.have.property('digest', sha512);
    });
  });

  for (const contentType of [`${mediaType}; charset=utf-8`, 'application/json', 'text/plain; charset=utf-8', '']) {
    it(`knows the media type behind ${JSON.stringify(contentType)}`, async () => {
      await withParent(serving({ 'content-type': contentType }), async ({ parent }) => {
        expect(await parent.findManifest(plant, digest)).to.have.property('mediaType', mediaTypes.ociManifest);
      });
    });
  }

  it('is broken for what is not JSON', async () => {
    const page = Buffer.from('<html>');
    await withParent(serving({ 'content-type': 'text/html' }, page), async ({ parent }) => {
      expect(await failureOf(parent.findManifest(plant, tag('1')))).to.include({ failure: 'broken' });
    });
  });

  it('takes 4 MB', async () => {
    const large = sampleImage([], { annotations: { filler: 'x'.repeat(4_100_000) } }).manifest;
    await withParent(serving({ 'content-type': mediaType }, large.bytes), async ({ parent }) => {
      expect(await parent.findManifest(plant, large.digest)).to.deep.equal(large);
    });
  });
});

describe('resolveTag()', () => {
  it('asks with HEAD', async () => {
    await withParent(serving({ 'docker-content-digest': digest }), async ({ parent, lines }) => {
      expect(await parent.resolveTag(plant, tag('1'))).to.equal(digest);
      expect(lines).to.deep.equal(['HEAD /v2/plant/hello/manifests/1']);
    });
  });

  it('asks with GET where HEAD tells no digest, or is refused', async () => {
    await withParent(serving({}), async ({ parent, lines }) => {
      expect(await parent.resolveTag(plant, tag('1'))).to.equal(digest);
      expect(lines).to.have.length(2);
    });
    const script: Script = ({ method }, response) => response.writeHead(method === 'HEAD' ? 405 : 200).end(bytes);
    await withParent(script, async ({ parent }) => {
      expect(await parent.resolveTag(plant, tag('1'))).to.equal(digest);
      expect(await parent.hasManifest(plant, digest)).to.equal(true);
    });
  });
});

describe('putManifest()', () => {
  it('puts the bytes by tag or by digest, with their media type', async () => {
    const script: Script = (_, response) => response.writeHead(201, { 'docker-content-digest': digest }).end();
    await withParent(script, async ({ parent, seen, lines }) => {
      await parent.putManifest(plant, manifest, { tag: tag('1') });
      await parent.putManifest(plant, manifest);
      expect(lines).to.deep.equal(['PUT /v2/plant/hello/manifests/1', `PUT /v2/plant/hello/manifests/${digest}`]);
      expect(seen[0]?.headers['content-type']).to.equal(mediaType);
      expect(seen[0]?.body).to.deep.equal(bytes);
    });
  });

  it('carries the code of the parent', async () => {
    await withParent(
      (_, response) => answerError(response, 400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown'),
      async ({ parent }) => {
        const failure = await failureOf(parent.putManifest(plant, manifest));
        expect(failure).to.include({ failure: 'refused', status: 400 });
        expect(failure.message).to.include('MANIFEST_BLOB_UNKNOWN blob unknown');
      },
    );
  });

  it('is broken when the parent kept something else', async () => {
    const script: Script = (_, response) => response.writeHead(201, { 'docker-content-digest': stranger }).end();
    await withParent(script, async ({ parent }) => {
      expect(await failureOf(parent.putManifest(plant, manifest))).to.include({ failure: 'broken' });
    });
  });

  it('does not send bytes of another digest', async () => {
    await withParent(
      (_, response) => response.writeHead(201).end(),
      async ({ parent, lines }) => {
        const error = await parent
          .putManifest(plant, { ...manifest, digest: stranger })
          .catch((reason: unknown) => reason);
        expect(error instanceof RegistryError && error.code).to.equal('DIGEST_INVALID');
        expect(lines).to.deep.equal([]);
      },
    );
  });
});

describe('deleteTag()', () => {
  for (const [status, expected] of [
    [202, true],
    [404, false],
  ] as const) {
    it(`is ${String(expected)} for ${status}`, async () => {
      await withParent(
        (_, response) => response.writeHead(status).end(),
        async ({ parent }) => expect(await parent.deleteTag(plant, tag('1'))).to.equal(expected),
      );
    });
  }

  it('is denied where deletes are off', async () => {
    await withParent(
      (_, response) => answerError(response, 405, 'UNSUPPORTED'),
      async ({ parent }) =>
        expect(await failureOf(parent.deleteTag(plant, tag('1')))).to.include({ failure: 'denied' }),
    );
  });

  it('is denied by 400 (docker-registry), but false when there is no such tag', async () => {
    const script: Script = ({ method, url }, response) => {
      if (method === 'DELETE') answerError(response, 400, 'DIGEST_INVALID');
      else response.writeHead(url.pathname.endsWith('/1') ? 200 : 404, { 'docker-content-digest': digest }).end();
    };
    await withParent(script, async ({ parent }) => {
      expect(await failureOf(parent.deleteTag(plant, tag('1')))).to.include({ failure: 'denied' });
      expect(await parent.deleteTag(plant, tag('2'))).to.equal(false);
    });
  });
});
