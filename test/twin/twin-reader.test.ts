import { expect } from 'chai';
import { createTwinReader } from '../../modules/registry/src/twin/twin-reader.ts';
import type { TwinDocument } from '../../modules/registry/src/twin/twin.ts';

describe('createTwinReader()', () => {
  function start(sections: { desired: unknown; reported: unknown }) {
    const documents: TwinDocument[] = [];
    const hub = { ...sections };
    const reader = createTwinReader({
      read: () => Promise.resolve(structuredClone(hub)),
      onDocument: (document) => documents.push(document),
      onFailure: (error) => {
        throw error;
      },
    });
    return { hub, reader, documents };
  }

  it('says nothing when a read shows what is known, our own reports included', async () => {
    const { hub, reader, documents } = start({ desired: { $version: 3 }, reported: { $version: 1 } });
    await reader.refresh();
    reader.noteReported({ mode: 'ReadOnly' });
    hub.reported = { mode: 'ReadOnly', $version: 2 };
    await reader.refresh();
    expect(documents).to.deep.equal([{ version: 3, desired: {}, reported: {} }]);
  });

  it('tells the document again when somebody else has reported, as who lets go of the activation does', async () => {
    const held = { status: 'Active', instanceId: 'other' };
    const { hub, reader, documents } = start({ desired: { $version: 3 }, reported: { activation: held } });
    await reader.refresh();
    hub.reported = { activation: { ...held, status: 'Inactive' } };
    await reader.refresh();
    expect(documents.map(({ version, reported }) => [version, reported['activation']])).to.deep.equal([
      [3, held],
      [3, { status: 'Inactive', instanceId: 'other' }],
    ]);
  });
});
