// PocketBase's own client, unmodified, as the manager marta: lists, pages, filters, expansions, and a record's whole life.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(process.env.E2E_PACKAGES + '/').href);
const { default: PocketBase, ClientResponseError } = await import(pathToFileURL(require.resolve('pocketbase')).href);

const client = new PocketBase(process.env.E2E_GATEWAY);
client.autoCancellation(false);
client.beforeSend = (url, options) => {
    options.headers = { ...options.headers, Authorization: `Bearer ${process.env.E2E_TOKEN}` };
    return { url, options };
};
const contacts = client.collection('contacts');

const all = await contacts.getFullList({ sort: '-name', batch: 10 });
assert.ok(all.length > 20);
assert.equal(new Set(all.map((one) => one.id)).size, all.length);
assert.deepEqual(all.map((one) => one.name), all.map((one) => one.name).sort().reverse());
assert.equal((await contacts.getFullList()).length, all.length);

const page = await contacts.getList(2, 7, { sort: 'name' });
assert.deepEqual([page.page, page.perPage, page.items.length], [2, 7, 7]);
assert.deepEqual([page.totalItems, page.totalPages], [all.length, Math.ceil(all.length / 7)]);

const filter = client.filter('name = {:name} || (region = {:region} && id != {:id})', { name: all[0].name, region: "it's", id: 5 + '' });
assert.deepEqual((await contacts.getList(1, 5, { filter })).items.map((one) => one.id), [all[0].id]);
assert.equal((await contacts.getFirstListItem(client.filter('id={:id}', { id: all[3].id }))).name, all[3].name);

const expanded = await contacts.getFullList({ expand: 'accountId' });
assert.ok(expanded.some((one) => one.expand?.accountId?.name));
const nested = await client.collection('activities').getFullList({ expand: 'dealId.accountId', fields: 'id,expand.dealId.title,expand.dealId.expand.accountId.name' });
assert.ok(nested.length > 5 && nested.every((one) => one.expand.dealId.title && !one.body && !one.expand.dealId.margin));
assert.ok(nested.some((one) => one.expand.dealId.expand?.accountId.name) && nested.some((one) => !one.expand.dealId.expand));
const one = await contacts.getOne(all[0].id, { fields: 'id,name' });
assert.deepEqual(Object.keys(one).filter((name) => !name.startsWith('collection')).sort(), ['id', 'name']);

const made = await contacts.create({ name: 'From the client', stage: 'lead', region: 'EMEA', email: 'c@c.example' });
assert.equal(made.owner_id, 'marta-acme-shop');
assert.equal((await contacts.update(made.id, { stage: 'qualified', phone: '+15550009999' })).stage, 'qualified');
assert.equal((await contacts.getOne(made.id)).phone, '+15550009999');

// What it wants to see of what it writes.
const own = (one) => Object.keys(one).filter((name) => !name.startsWith('collection')).sort();
const changed = await contacts.update(made.id, { name: 'Chosen' }, { fields: 'id,name' });
assert.deepEqual([own(changed), changed.name], [['id', 'name'], 'Chosen']);
const accountId = expanded.find((one) => one.expand?.accountId).accountId;
const related = await contacts.update(made.id, { accountId }, { expand: 'accountId', fields: 'accountId,expand.accountId' });
assert.deepEqual([own(related), related.expand.accountId.id], [['accountId', 'expand'], accountId]);
assert.ok(!('internal_note' in related.expand.accountId));
const chosen = await contacts.create({ name: 'Second', stage: 'lead', region: 'EMEA' }, { fields: 'id' });
assert.deepEqual(own(chosen), ['id']);
assert.equal(await contacts.delete(chosen.id), true);
assert.equal(await contacts.delete(made.id), true);

const refusal = async (promise, status) => {
    await assert.rejects(promise, (error) => error instanceof ClientResponseError && error.status === status);
};
await refusal(contacts.getOne(made.id), 404);
await refusal(contacts.getOne('con000000000003'), 404);
await refusal(contacts.getList(1, 5, { filter: 'national_id != ""' }), 400);
await refusal(contacts.update(all[0].id, { national_id: 'x' }), 403);
await refusal(contacts.update(all[0].id, { name: 'Half' }, { fields: 'national_id' }), 400);
await refusal(contacts.create({ name: 'Half', stage: 'lead', region: 'EMEA' }, { expand: 'owner_id' }), 400);
assert.equal((await contacts.getOne(all[0].id)).name, all[0].name);
await refusal(client.collections.getFullList(), 404);
await refusal(client.settings.getAll(), 404);
await refusal(client.collection('users').authWithPassword('a@b.example', 'abcdefgh'), 404);
await refusal(client.createBatch().send(), 400);

// Batches, which it sends as forms.
const making = client.createBatch();
making.collection('contacts').create({ name: 'One', stage: 'lead', region: 'EMEA' });
making.collection('contacts').create({ name: 'Two', stage: 'lead', region: 'EMEA' });
const [one1, two] = (await making.send()).map((part) => part.body);
assert.deepEqual([one1.owner_id, two.name, two.national_id], ['marta-acme-shop', 'Two', undefined]);
const choosing = client.createBatch();
choosing.collection('contacts').update(one1.id, { name: 'One' }, { fields: 'name', expand: 'accountId' });
assert.deepEqual(own((await choosing.send())[0].body), ['name']);
const refused = client.createBatch();
refused.collection('contacts').update(one1.id, { name: 'Half' });
refused.collection('contacts').update(two.id, { national_id: 'x' });
await refusal(refused.send(), 403);
assert.equal((await contacts.getOne(one1.id)).name, 'One');
const changing = client.createBatch();
changing.collection('contacts').upsert({ id: one1.id, name: 'Changed' });
changing.collection('contacts').delete(two.id);
assert.deepEqual((await changing.send()).map((part) => [part.status, part.body?.name]), [[200, 'Changed'], [204, undefined]]);
await refusal(contacts.getOne(two.id), 404);
assert.equal(await contacts.delete(one1.id), true);
