// typescript.mjs - the official TypeScript SDK against the local server, so that the server cannot
// drift into our own idea of the API. Run by typescript.sh, with the SDK already installed.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.env.DAYTONA_TS_SDK, 'package.json'))
const { Daytona } = require('@daytona/sdk')

let passed = 0
async function step(name, f) {
  try {
    await f()
    passed++
  } catch (e) {
    console.log(`FAIL: ${name}: ${e.stack ?? e}`)
    process.exitCode = 1
  }
}

const daytona = new Daytona({
  apiKey: process.env.DAYTONA_API_KEY,
  apiUrl: process.env.DAYTONA_API_URL,
})
let sandbox

await step('create', async () => {
  sandbox = await daytona.create({ name: 'conformance', labels: { purpose: 'test' } })
  assert.equal(sandbox.name, 'conformance')
  assert.equal(sandbox.state, 'started')
})
await step('get by name and by id', async () => {
  assert.equal((await daytona.get('conformance')).id, sandbox.id)
  assert.equal((await daytona.get(sandbox.id)).name, 'conformance')
})
await step('list by label', async () => {
  const ids = []
  for await (const s of daytona.list({ labels: { purpose: 'test' } })) ids.push(s.id)
  assert.deepEqual(ids, [sandbox.id])
})
await step('unknown sandbox is an error', () => assert.rejects(daytona.get('no-such-sandbox')))

const home = await sandbox.getUserHomeDir()
const dir = `${home}/conf`
await step('directories', async () => {
  assert.ok((await sandbox.getWorkDir()).startsWith('/'))
  await sandbox.fs.createFolder(dir, '755')
  assert.ok((await sandbox.fs.getFileDetails(dir)).isDir)
})
await step('upload and download', async () => {
  const data = Buffer.from(Array.from({ length: 70000 }, (_, i) => i % 251))
  await sandbox.fs.uploadFile(data, `${dir}/a.bin`)
  assert.ok(data.equals(await sandbox.fs.downloadFile(`${dir}/a.bin`)))
  await sandbox.fs.uploadFile(Buffer.from('caf\u00e9'), `${dir}/caf\u00e9 1+2;3.txt`)
  assert.equal((await sandbox.fs.downloadFile(`${dir}/caf\u00e9 1+2;3.txt`)).toString(), 'caf\u00e9')
})
await step('many at once', async () => {
  const files = [1, 2, 3].map((i) => ({
    source: Buffer.from(`n ${i}\n`),
    destination: `${dir}/many/${i}`,
  }))
  await sandbox.fs.uploadFiles(files)
  const got = await sandbox.fs.downloadFiles([1, 2, 9].map((i) => ({ source: `${dir}/many/${i}` })))
  assert.equal(got[0].result.toString(), 'n 1\n')
  assert.equal(got[1].result.toString(), 'n 2\n')
  assert.ok(got[2].error)
})
await step('details', async () => {
  const info = await sandbox.fs.getFileDetails(`${dir}/a.bin`)
  assert.equal(info.size, 70000)
  assert.equal(info.isDir, false)
  assert.ok(Math.abs(Date.parse(info.modifiedAt) - Date.now()) < 600000)
})
await step('list', async () => {
  const names = (await sandbox.fs.listFiles(dir)).map((f) => f.name)
  assert.deepEqual(names, ['a.bin', 'caf\u00e9 1+2;3.txt', 'many'])
})
await step('move', async () => {
  await sandbox.fs.moveFiles(`${dir}/a.bin`, `${dir}/b.bin`)
  await assert.rejects(sandbox.fs.getFileDetails(`${dir}/a.bin`))
  await assert.rejects(sandbox.fs.moveFiles(`${dir}/b.bin`, `${dir}/many/1`))
})
await step('permissions', async () => {
  await sandbox.fs.setFilePermissions(`${dir}/b.bin`, { mode: '600' })
  assert.equal((await sandbox.fs.getFileDetails(`${dir}/b.bin`)).permissions, '0600')
})
await step('find, search, replace', async () => {
  const found = await sandbox.fs.findFiles(dir, 'n 2')
  assert.deepEqual(
    found.map((m) => [m.file, m.line]),
    [[`${dir}/many/2`, 1]],
  )
  assert.deepEqual((await sandbox.fs.searchFiles(dir, '*.bin')).files, [`${dir}/b.bin`])
  await sandbox.fs.replaceInFiles([`${dir}/many/2`], 'n 2', 'two')
  assert.equal((await sandbox.fs.downloadFile(`${dir}/many/2`)).toString(), 'two\n')
})
await step('execute', async () => {
  const r = await sandbox.process.executeCommand('echo "$X"; pwd; exit 3', dir, { X: 'y z' })
  assert.equal(r.exitCode, 3)
  assert.equal(r.result, `y z\n${dir}\n`)
})
await step('execute with a timeout', () =>
  assert.rejects(sandbox.process.executeCommand('sleep 20', undefined, undefined, 1)),
)
await step('delete', async () => {
  await sandbox.fs.deleteFile(`${dir}/b.bin`)
  await assert.rejects(sandbox.fs.deleteFile(`${dir}/many`))
  await sandbox.fs.deleteFile(dir, true)
  await assert.rejects(sandbox.fs.getFileDetails(dir))
})
await step('labels and intervals', async () => {
  await sandbox.setLabels({ purpose: 'other' })
  await sandbox.setAutostopInterval(30)
  await sandbox.refreshData()
  assert.equal(sandbox.labels.purpose, 'other')
  assert.equal(sandbox.autoStopInterval, 30)
})
await step('stop and start', async () => {
  await sandbox.stop()
  assert.equal(sandbox.state, 'stopped')
  await assert.rejects(sandbox.fs.listFiles(home))
  await sandbox.start()
  assert.equal(sandbox.state, 'started')
  await sandbox.fs.listFiles(home)
})
await step('delete the sandbox', async () => {
  await sandbox.delete(60, true)
  await assert.rejects(daytona.get('conformance'))
})
console.log(`${passed} steps passed`)
process.exit()
