// An OData client that knows nothing of the gateway works through it: lists, filters, pages, counts, expands, creates,
// changes and deletes. Prints what it found as one line of JSON.
const { OData } = require(`${process.env.E2E_PACKAGES}/@odata/client`)

async function main() {
  const client = OData.New4({
    serviceEndpoint: `${process.env.E2E_GATEWAY}/odata/v4/crm/`,
    commonHeaders: { Authorization: `Bearer ${process.env.E2E_TOKEN}`, 'Content-Type': 'application/json', Accept: 'application/json' },
  })
  const contacts = client.getEntitySet('contacts')
  const pages = []
  for (let skip = 0; ; skip += 7) {
    const page = await contacts.query(client.newOptions().top(7).skip(skip).orderby('id', 'asc'))
    pages.push(...page)
    if (page.length < 7) break
  }
  const filter = client.newFilter().field('region').eqString('EMEA').field('id').gt(30)
  const found = await contacts.query(client.newOptions().filter(filter).select(['id', 'region']).orderby('id', 'asc').top(100))
  const count = await contacts.count()
  const expanded = await contacts.query(client.newOptions().expand('account').orderby('id', 'asc').top(5))
  const inside = 'account($select=name;$expand=contacts($select=id))'
  const nested = await contacts.query(client.newOptions().expand(inside).orderby('id', 'asc').top(5))
  const one = await contacts.retrieve(pages[0].id)
  const made = await contacts.create({ name: 'By a client', email: 'c@c.example', region: 'EMEA', stage: 'lead', accountId: 1 })
  await contacts.update(made.id, { name: 'Renamed' })
  const changed = await contacts.retrieve(made.id)
  await contacts.delete(made.id)
  console.log(JSON.stringify({ pages, found, count, expanded, nested, one, made, changed }))
}

main().catch(error => { console.error(error); process.exit(1) })
