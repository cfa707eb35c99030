import { expect } from 'chai';
import { atParent, redirectTarget } from '../../modules/registry/src/parent/redirect.ts';

const url = new URL('https://parent.example/v2/a/blobs/uploads/');

describe('redirectTarget()', () => {
  for (const [status, location, expected] of [
    [307, 'https://data.example/x?sig=1', 'https://data.example/x?sig=1'],
    [302, '../y', 'https://parent.example/v2/a/blobs/y'],
    [307, 'https://name:secret@data.example/x#f', 'https://data.example/x'],
    [201, '/v2/', undefined],
    [304, '/v2/', undefined],
    [307, undefined, undefined],
    [307, 'http://[', undefined],
    [307, 'file:///etc/passwd', undefined],
  ] as const) {
    it(`${status} to ${location ?? 'nowhere'}`, () => {
      expect(redirectTarget(status, location, url)?.href).to.equal(expected);
    });
  }
});

describe('atParent()', () => {
  for (const [location, expected] of [
    ['/v2/a/blobs/uploads/1?_state=a%3D', 'https://parent.example/v2/a/blobs/uploads/1?_state=a%3D'],
    ['1?x=y', 'https://parent.example/v2/a/blobs/uploads/1?x=y'],
    ['http://registry:5000/v2/a?b', 'https://parent.example/v2/a?b'],
    ['http://registry:5000//evil.example/x', 'https://parent.example//evil.example/x'],
    ['http://[', undefined],
  ] as const) {
    it(`keeps ${location} at the parent`, () => {
      expect(atParent(location, url, new URL('https://parent.example'))?.href).to.equal(expected);
    });
  }
});
