import { expect } from 'chai';
import fc from 'fast-check';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { declaredMediaType, parseManifest, type Manifest } from '../../modules/registry/src/oci/manifest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { sampleImage, sampleIndex } from '../helpers/images.ts';

const configType = 'application/vnd.oci.image.config.v1+json';
const descriptor = (text: string, mediaType = configType) => ({
  mediaType,
  digest: digestOf(Buffer.from(text)),
  size: text.length,
});
const image = { schemaVersion: 2, config: descriptor('config'), layers: [descriptor('layer', 'text/plain')] };
const index = { schemaVersion: 2, manifests: [descriptor('child', mediaTypes.ociManifest)] };

function parse(document: unknown, mediaType: string = mediaTypes.ociManifest): Manifest {
  return parseManifest(Buffer.from(JSON.stringify(document)), mediaType);
}

/** The MANIFEST_INVALID a manifest is refused with. */
function refusal(body: () => unknown): RegistryError {
  try {
    body();
  } catch (error) {
    expect(error).to.be.instanceOf(RegistryError).that.includes({ code: 'MANIFEST_INVALID' });
    return error as RegistryError;
  }
  throw new Error('was accepted');
}

describe('parseManifest()', () => {
  for (const docker of [false, true]) {
    const form = docker ? 'docker' : 'OCI';

    it(`reads an image in ${form} form: config first, then layers`, () => {
      const { manifest } = sampleImage(['one', 'two'], { docker });
      const parsed = parseManifest(manifest.bytes, manifest.mediaType);
      expect(parsed).to.include({ kind: 'image', mediaType: manifest.mediaType });
      expect(parsed.blobs.map(({ digest }) => digest).slice(1)).to.deep.equal(
        ['one', 'two'].map((text) => digestOf(Buffer.from(text))),
      );
      expect(parsed.blobs).to.have.lengthOf(3);
      expect(parsed.manifests).to.deep.equal([]);
    });

    it(`reads an index in ${form} form: children with their platforms`, () => {
      const platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
      const child = sampleImage(['one'], { docker });
      const { manifest } = sampleIndex([[platform, child]], { docker });
      const parsed = parseManifest(manifest.bytes, manifest.mediaType);
      expect(parsed).to.include({ kind: 'index', mediaType: manifest.mediaType });
      expect(parsed.blobs).to.deep.equal([]);
      expect(parsed.manifests).to.have.lengthOf(1);
      expect(parsed.manifests[0]).to.deep.include({ digest: child.manifest.digest, platform });
    });
  }

  it('reads subject, artifactType and annotations', () => {
    const subject = descriptor('subject', mediaTypes.ociManifest);
    const annotations = { 'org.example.note': 'one' };
    const parsed = parse({ ...image, subject, artifactType: 'application/x-signature', annotations });
    expect(parsed).to.deep.include({ subject, artifactType: 'application/x-signature', annotations });
  });

  it('takes subject, artifactType and annotations that are null for missing', () => {
    const parsed = parse({ ...image, subject: null, artifactType: null, annotations: null });
    expect(parsed).not.to.have.any.keys('subject', 'annotations');
    expect(parsed.artifactType).to.equal(configType);
  });

  for (const artifactType of [undefined, '']) {
    it(`takes the config's media type for artifactType ${JSON.stringify(artifactType)}; an index has none`, () => {
      expect(parse({ ...image, artifactType }).artifactType).to.equal(configType);
      expect(parse({ ...index, artifactType }, mediaTypes.ociIndex)).not.to.have.property('artifactType');
    });
  }

  it('reads all of a descriptor: annotations, artifactType, urls', () => {
    const layer = {
      ...descriptor('layer', 'text/plain'),
      annotations: { title: 'layer' },
      artifactType: 'text/x',
      urls: ['https://example.com/layer'],
    };
    expect(parse({ ...image, layers: [layer] }).blobs[1]).to.deep.equal(layer);
  });

  it('accepts an artifact without layers, an empty index, an index in an index and an empty blob', () => {
    expect(parse({ ...image, layers: [] }).blobs).to.have.lengthOf(1);
    expect(parse({ ...image, layers: undefined }).blobs).to.have.lengthOf(1);
    expect(parse({ ...index, manifests: [] }, mediaTypes.ociIndex).manifests).to.deep.equal([]);
    expect(
      parse({ ...index, manifests: [descriptor('index', mediaTypes.ociIndex)] }, mediaTypes.ociIndex).kind,
    ).to.equal('index');
    expect(parse({ ...image, layers: [descriptor('')] }).blobs[1]).to.include({ size: 0 });
  });

  it('accepts fields it does not know, sha512 and a data field', () => {
    const layer = {
      ...descriptor('l'),
      digest: digestOf(Buffer.from('l'), 'sha512'),
      data: 'bA==',
      extra: { deep: [1] },
    };
    const parsed = parse({ ...image, layers: [layer], extra: true });
    expect(parsed.blobs[1]?.digest).to.equal(layer.digest);
  });

  const layers = (change: object) => ({
    ...image,
    layers: [descriptor('first'), { ...descriptor('layer'), ...change }],
  });
  const broken: readonly (readonly [string, unknown, string, string?])[] = [
    ['schema version 1', { ...image, schemaVersion: 1 }, 'schemaVersion'],
    ['no schema version', { ...image, schemaVersion: undefined }, 'schemaVersion'],
    ['a schema version in text', { ...image, schemaVersion: '2' }, 'schemaVersion'],
    ['another media type inside', { ...image, mediaType: mediaTypes.dockerManifest }, 'mediaType'],
    ['no config', { ...image, config: undefined }, 'config'],
    ['a config that is null', { ...image, config: null }, 'config'],
    ['a config without a digest', { ...image, config: { mediaType: 'a', size: 1 } }, 'config.digest'],
    ['layers that are no array', { ...image, layers: {} }, 'layers'],
    ['a layer that is text', { ...image, layers: ['layer'] }, 'layers[0]'],
    ['a layer without a media type', layers({ mediaType: undefined }), 'layers[1].mediaType'],
    ['a layer with a bad digest', layers({ digest: 'sha256:abc' }), 'layers[1].digest'],
    ['a layer with a negative size', layers({ size: -1 }), 'layers[1].size'],
    ['a layer with a fraction of a byte', layers({ size: 1.5 }), 'layers[1].size'],
    ['a layer with a size in text', layers({ size: '1' }), 'layers[1].size'],
    ['a layer with a size beyond exact numbers', layers({ size: 2 ** 53 }), 'layers[1].size'],
    ['a layer with annotations that hold numbers', layers({ annotations: { a: 1 } }), 'layers[1].annotations'],
    ['a subject without a size', { ...image, subject: { ...descriptor('s'), size: undefined } }, 'subject.size'],
    ['a subject that is text', { ...image, subject: 'sha256:abc' }, 'subject'],
    ['an artifactType that is a number', { ...image, artifactType: 7 }, 'artifactType'],
    ['annotations that are an array', { ...image, annotations: [] }, 'annotations'],
    ['annotations that hold objects', { ...image, annotations: { a: {} } }, 'annotations'],
    ['no children', { ...index, manifests: undefined }, 'manifests', mediaTypes.ociIndex],
    [
      'a child with a bad digest',
      { ...index, manifests: [{ ...descriptor('c'), digest: 1 }] },
      'manifests[0].digest',
      mediaTypes.ociIndex,
    ],
  ];
  for (const [what, document, field, mediaType] of broken) {
    it(`refuses ${what} and names ${field}`, () => {
      expect(refusal(() => parse(document, mediaType)).message).to.include(`: ${field} `);
    });
  }

  for (const text of ['', '{', '[]', 'null', '"text"', '2']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      refusal(() => parseManifest(Buffer.from(text), mediaTypes.ociManifest));
    });
  }

  it('refuses bytes that are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"schemaVersion":2,"a":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    refusal(() => parseManifest(bytes, mediaTypes.ociManifest));
  });

  for (const mediaType of [mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed, 'application/json', '']) {
    it(`refuses the media type ${JSON.stringify(mediaType)}`, () => {
      refusal(() => parse(image, mediaType));
    });
  }

  it('reads or throws MANIFEST_INVALID, whatever JSON it is given', () => {
    const field = fc.oneof(
      fc.json().map((text): unknown => JSON.parse(text)),
      fc.constant([descriptor('x')]),
    );
    const document = fc.record(
      {
        schemaVersion: fc.constant(2),
        config: field,
        layers: field,
        manifests: field,
        subject: field,
        annotations: field,
        artifactType: field,
      },
      { requiredKeys: ['schemaVersion'] },
    );
    fc.assert(
      fc.property(document, fc.constantFrom(mediaTypes.ociManifest, mediaTypes.ociIndex), (value, mediaType) => {
        try {
          expect(parse(value, mediaType).mediaType).to.equal(mediaType);
        } catch (error) {
          expect(error).to.be.instanceOf(RegistryError).that.includes({ code: 'MANIFEST_INVALID' });
        }
      }),
    );
  });
});

describe('declaredMediaType()', () => {
  const rows: readonly (readonly [string, object, string | undefined])[] = [
    ['the one inside', { ...image, mediaType: mediaTypes.dockerManifest }, mediaTypes.dockerManifest],
    ['an OCI index, when it has manifests', index, mediaTypes.ociIndex],
    ['an OCI manifest, when it has a config', image, mediaTypes.ociManifest],
    ['nothing otherwise', {}, undefined],
  ];
  for (const [what, document, expected] of rows) {
    it(`is ${what}`, () => {
      expect(declaredMediaType(Buffer.from(JSON.stringify(document)))).to.equal(expected);
    });
  }
});
