import { expect } from 'chai';
import { bareMediaType, mediaTypes } from '../../modules/registry/src/oci/media-types.ts';

describe('bareMediaType()', () => {
  const rows = [
    [mediaTypes.ociManifest, mediaTypes.ociManifest],
    [`${mediaTypes.ociManifest}; charset=utf-8`, mediaTypes.ociManifest],
    [` ${mediaTypes.ociManifest.toUpperCase()} ;q=1`, mediaTypes.ociManifest],
    ['', ''],
  ] as const;
  for (const [header, expected] of rows) {
    it(`reads ${JSON.stringify(header)}`, () => expect(bareMediaType(header)).to.equal(expected));
  }
});
