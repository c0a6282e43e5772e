// Deploys the model to a new database and serves it over OData V4, on loopback alone. A contact without a key gets the next.
const cds = require('@sap/cds')
const express = require('express')

async function main() {
  const model = await cds.load(['db', 'srv'])
  cds.model = cds.compile.for.nodejs(model)
  await cds.deploy(model).to('db')
  const app = express()
  const { CrmService } = await cds.serve('all').from(cds.model).in(app)
  const service = CrmService ?? cds.services.CrmService
  let given = 0
  service.prepend(() => service.before('CREATE', 'contacts', async request => {
    const last = await SELECT.one.from('crm.contacts').columns('max(id) as id')
    // Of one batch several are made at once, none of which is there yet.
    given = Math.max(given, last.id) + 1
    request.data.id ??= given
  }))
  app.listen(Number(process.env.PORT), '127.0.0.1')
}

main().catch(error => { console.error(error); process.exit(1) })
