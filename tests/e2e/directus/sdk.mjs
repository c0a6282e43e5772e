// Directus' own client, unmodified, as the manager marta: lists, pages, filters, expansions, and a record's whole life.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(process.env.E2E_PACKAGES + '/').href);
const sdk = await import(pathToFileURL(require.resolve('@directus/sdk')).href);
const { createDirectus, rest, staticToken, readItems, readItem, createItem, updateItem, deleteItem, readMe, readFields, readCollections } = sdk;

const client = createDirectus(process.env.E2E_GATEWAY).with(staticToken(process.env.E2E_TOKEN)).with(rest());
const list = (query, table = 'contacts') => client.request(readItems(table, query));

const all = [];
for (let page = 1; ; page += 1) {
    const part = await list({ sort: ['-name'], limit: 10, page, fields: ['id', 'name', 'region', 'accountId'] });
    all.push(...part);
    if (part.length < 10) break;
}
assert.ok(all.length > 20);
assert.equal(new Set(all.map((one) => one.id)).size, all.length);
assert.deepEqual(all.map((one) => one.name), all.map((one) => one.name).sort().reverse());
assert.equal((await list({ limit: 200 })).length, all.length);
assert.deepEqual((await list({ limit: 5, offset: 5, sort: '-name', fields: ['id'] })), all.slice(5, 10).map(({ id }) => ({ id })));

const filter = { _or: [{ name: { _eq: all[0].name } }, { _and: [{ region: { _in: ["it's", '"'] } }, { id: { _neq: 5 } }] }] };
assert.deepEqual((await list({ filter, fields: ['id'] })), [{ id: all[0].id }]);
assert.deepEqual((await list({ filter: { name: { _starts_with: all[3].name }, id: { _between: [1, 1000] } } })).map((one) => one.id), [all[3].id]);

// Related records come in the place of their column, with what was asked for of them.
const expanded = await list({ fields: ['id', { accountId: ['id', 'name'] }], limit: 200, sort: '-name' });
assert.equal(expanded.length, all.length);
for (const [number, one] of expanded.entries()) {
    assert.deepEqual(Object.keys(one).sort(), ['accountId', 'id']);
    if (one.accountId) assert.deepEqual([Object.keys(one.accountId).sort(), one.accountId.id], [['id', 'name'], all[number].accountId]);
}
assert.ok(expanded.some((one) => one.accountId) && expanded.some((one) => one.accountId === null));
const whole = await client.request(readItem('contacts', expanded.find((one) => one.accountId).id, { fields: ['*', 'accountId.*'] }));
assert.ok(whole.accountId.name && whole.name && !('internal_note' in whole.accountId) && !('account' in whole));
const accounts = await list({ fields: ['id', { contacts: ['id', 'name'] }] }, 'accounts');
assert.ok(accounts.some((one) => one.contacts.length > 1));
const nested = await list({ fields: ['id', { dealId: ['title', { accountId: ['name', { contacts: ['id'] }] }] }], limit: 200 }, 'activities');
assert.ok(nested.every((one) => one.dealId.title && !('margin' in one.dealId) && !('body' in one)));
assert.ok(nested.some((one) => one.dealId.accountId?.contacts.length > 1) && nested.some((one) => one.dealId.accountId === null));
const every = await list({ fields: ['*.*.*'], limit: 200 });
assert.ok(every.some((one) => one.accountId?.contacts.length > 1) && every.every((one) => !('national_id' in one)));
const one = await client.request(readItem('contacts', all[0].id, { fields: ['id', 'name'] }));
assert.deepEqual(one, { id: all[0].id, name: all[0].name });

const made = await client.request(createItem('contacts', { name: 'From the client', stage: 'lead', region: 'EMEA', email: 'c@c.example' }));
assert.equal(made.owner_id, 'marta-acme-shop');
assert.equal((await client.request(updateItem('contacts', made.id, { stage: 'qualified', phone: '+15550009999' }))).stage, 'qualified');
assert.equal((await client.request(readItem('contacts', made.id))).phone, '+15550009999');

// What it wants to see of what it writes.
const changed = await client.request(updateItem('contacts', made.id, { name: 'Chosen' }, { fields: ['id', 'name'] }));
assert.deepEqual(changed, { id: made.id, name: 'Chosen' });
const accountId = whole.accountId.id;
const related = await client.request(updateItem('contacts', made.id, { accountId }, { fields: ['name', { accountId: ['id', 'name'] }] }));
assert.deepEqual([Object.keys(related).sort(), related.accountId], [['accountId', 'name'], { id: accountId, name: whole.accountId.name }]);
const chosen = await client.request(createItem('contacts', { name: 'Second', stage: 'lead', region: 'EMEA' }, { fields: ['id'] }));
assert.deepEqual(Object.keys(chosen), ['id']);
await client.request(deleteItem('contacts', chosen.id));
await client.request(deleteItem('contacts', made.id));

const refusal = async (command, status) => {
    // To this client a problem document is neither data nor an error: it hands over the whole answer.
    const answer = await client.request(command);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/problem+json']);
};
await refusal(readItem('contacts', made.id), 404);
await refusal(readItem('contacts', 3), 404);
await refusal(readItems('contacts', { filter: { national_id: { _nempty: true } } }), 400);
// Of hidden columns a search reads none, so that it finds what the others hold.
assert.deepEqual(await client.request(readItems('contacts', { search: 'SECRET' })), []);
await refusal(updateItem('contacts', all[0].id, { national_id: 'x' }), 403);
await refusal(updateItem('contacts', all[0].id, { name: 'Half' }, { fields: ['national_id'] }), 400);
await refusal(createItem('contacts', { name: 'Half', stage: 'lead', region: 'EMEA' }, { fields: ['accountId.internal_note'] }), 400);
assert.equal((await client.request(readItem('contacts', all[0].id))).name, all[0].name);
await refusal(readMe(), 404);
await refusal(readFields(), 404);
await refusal(readCollections(), 404);
