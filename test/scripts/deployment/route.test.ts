import { expect } from 'chai';
import { parseRoute } from '../../../scripts/deployment/route.ts';

describe('parseRoute()', () => {
  const routes: Readonly<Record<string, readonly string[]>> = {
    'FROM /messages/* INTO $upstream': [],
    'from /* into $upstream': [],
    'FROM /messages/modules/* INTO $upstream': [],
    'FROM /messages/modules/a INTO $upstream': ['a'],
    'FROM /messages/modules/a/* INTO $upstream': ['a'],
    'FROM /messages/modules/a/outputs/* INTO $upstream': ['a'],
    'FROM /messages/modules/a/outputs/out INTO BrokeredEndpoint("/modules/b-c/inputs/in")': ['a', 'b-c'],
    "FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO BrokeredEndpoint('/modules/b/inputs/in')": ['b'],
    'FROM /twinChangeNotifications INTO $upstream': [],
    '  FROM  /messages/*\n  WHERE temperature > 25 AND place = "INTO the dark"\n  INTO $upstream  ': [],
  };
  for (const [text, modules] of Object.entries(routes)) {
    it(`reads ${text}`, () => expect(parseRoute(text)).to.deep.equal({ modules }));
  }

  const refused = [
    '',
    'FROM /messages/*',
    'INTO $upstream',
    'FROM /messages/* INTO upstream',
    'FROM /messages/* INTO $upstream:8000',
    'FROM messages/* INTO $upstream',
    'FROM /messages/modules/a b/* INTO $upstream',
    'FROM /messages/modules/a/output/* INTO $upstream',
    'FROM /messages/* WHERE INTO $upstream',
    'FROM /messages/* INTO BrokeredEndpoint(/modules/b/inputs/in)',
    'FROM /messages/* INTO BrokeredEndpoint("/modules/b/outputs/in")',
    'FROM /messages/* INTO BrokeredEndpoint("/modules/b/inputs/in") INTO $upstream; x',
  ];
  for (const text of refused) {
    it(`refuses ${text || 'nothing'}`, () => expect(parseRoute(text)).to.equal(undefined));
  }
});
