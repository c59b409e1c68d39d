// typescript.mjs - the official TypeScript SDK against the local server, so that the server cannot
// drift into our own idea of the API. Run by typescript.sh, with the SDK already installed.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.env.DAYTONA_TS_SDK, 'package.json'))
const { Daytona, Image } = require('@daytona/sdk')

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
await step('a session with input', async () => {
  await sandbox.process.createSession('s')
  const { cmdId } = await sandbox.process.executeSessionCommand('s', {
    command: 'read x; echo "got $x"; echo err >&2; (exit 4)',
    runAsync: true,
  })
  await sandbox.process.sendSessionCommandInput('s', cmdId, 'hello\n')
  let out = ''
  let err = ''
  await sandbox.process.getSessionCommandLogs(
    's',
    cmdId,
    (chunk) => (out += chunk),
    (chunk) => (err += chunk),
  )
  assert.ok(out.includes('got hello'))
  assert.equal(err.trim(), 'err')
  assert.equal((await sandbox.process.getSessionCommand('s', cmdId)).exitCode, 4)
  assert.deepEqual(
    (await sandbox.process.listSessions()).map((x) => x.sessionId),
    ['s'],
  )
  await sandbox.process.deleteSession('s')
  await assert.rejects(sandbox.process.getSession('s'))
})
await step('the interpreter', async () => {
  const context = await sandbox.codeInterpreter.createContext('/tmp')
  const run = (code, more) => sandbox.codeInterpreter.runCode(code, { context, ...more })
  assert.equal((await run('x = 6')).stdout, '')
  let seen = ''
  const r = await run('print(x * 7)', { onStdout: (m) => (seen += m.output) })
  assert.equal(r.stdout, '42\n')
  assert.equal(seen, '42\n')
  assert.equal((await run('1 / 0')).error.name, 'ZeroDivisionError')
  await assert.rejects(run('import time; time.sleep(9)', { timeout: 1 }))
  assert.equal((await run('print(x)')).stdout, '6\n')
  assert.deepEqual(
    (await sandbox.codeInterpreter.listContexts()).map((c) => c.id),
    [context.id],
  )
  await sandbox.codeInterpreter.deleteContext(context)
})
await step('git', async () => {
  await sandbox.process.executeCommand('git init -q -b main repo', home)
  await sandbox.fs.uploadFile(Buffer.from('one'), `${home}/repo/f`)
  await sandbox.git.add(`${home}/repo`, ['f'])
  const { sha } = await sandbox.git.commit(`${home}/repo`, 'm', 'A', 'a@b.c')
  assert.equal(sha.length, 40)
  await sandbox.git.createBranch(`${home}/repo`, 'topic')
  assert.deepEqual((await sandbox.git.branches(`${home}/repo`)).branches.sort(), ['main', 'topic'])
  assert.equal((await sandbox.git.status(`${home}/repo`)).currentBranch, 'topic')
})
if (process.env.DAEMON === 'new') {
  // this SDK creates terminals only as newer daemons do
  await step('a terminal', async () => {
    let out = ''
    const pty = await sandbox.process.createPty({
      id: 't',
      cols: 90,
      rows: 20,
      onData: (data) => (out += new TextDecoder().decode(data)),
    })
    await pty.waitForConnection()
    await pty.sendInput('stty size; echo a$((1+1))b; exit 5\n')
    const { exitCode } = await pty.wait()
    assert.equal(exitCode, 5)
    assert.ok(out.includes('20 90'))
    assert.ok(out.includes('a2b'))
  })
  await step('what newer daemons have', async () => {
    await sandbox.git.init(`${home}/fresh`, false, 'trunk')
    await sandbox.git.remoteAdd(`${home}/fresh`, 'up', '/nowhere')
    assert.equal(await sandbox.git.remoteGet(`${home}/fresh`, 'up'), '/nowhere')
    await sandbox.git.configureUser('N', 'n@x', 'local', `${home}/fresh`)
    assert.equal(await sandbox.git.getConfig('user.name', 'local', `${home}/fresh`), 'N')
    await sandbox.updateEnv({ NEWER: 'yes' })
    assert.equal((await sandbox.process.executeCommand('echo $NEWER')).result, 'yes\n')
    const url = await sandbox.uploadUrl(`${home}/by-link`)
    const form = new FormData()
    form.append('file', new Blob(['linked']), 'x')
    assert.ok((await fetch(url, { method: 'POST', body: form })).ok)
    const back = await fetch(await sandbox.downloadUrl(`${home}/by-link`))
    assert.equal(await back.text(), 'linked')
  })
}
await step('snapshots', async () => {
  await sandbox.fs.uploadFile(Buffer.from('kept'), `${home}/kept`)
  await sandbox.createSnapshot('conf-snap')
  const snapshot = await daytona.snapshot.get('conf-snap')
  assert.equal(snapshot.state, 'active')
  const copy = await daytona.create({ snapshot: 'conf-snap' })
  assert.equal((await copy.fs.downloadFile(`${home}/kept`)).toString(), 'kept')
  await copy.delete(60, true)
  let logs = ''
  const built = await daytona.snapshot.create(
    { name: 'conf-built', image: Image.base('debian:12').runCommands('true') },
    { onLogs: (chunk) => (logs += chunk) },
  )
  assert.equal(built.state, 'active')
  assert.ok(logs.includes('RUN true'))
  const names = (await daytona.snapshot.list()).items.map((x) => x.name)
  assert.ok(names.includes('conf-snap') && names.includes('conf-built'))
  await daytona.snapshot.delete(built)
  await daytona.snapshot.delete(snapshot)
  await assert.rejects(daytona.create({ snapshot: 'conf-snap' }))
})
await step('volumes', async () => {
  let volume = await daytona.volume.get('conf-vol', true)
  for (let i = 0; i < 100 && volume.state !== 'ready'; i++) {
    await new Promise((done) => setTimeout(done, 50))
    volume = await daytona.volume.get('conf-vol')
  }
  const volumes = [{ volumeId: volume.id, mountPath: '/mnt/data' }]
  for (const expected of ['', 'there']) {
    const user = await daytona.create({ volumes })
    const r = await user.process.executeCommand('cat /mnt/data/f; printf there > /mnt/data/f')
    assert.ok(expected ? r.result === expected : r.result.includes('No such file'))
    await user.delete(60, true)
  }
  assert.equal((await daytona.volume.list()).length, 1)
  await daytona.volume.delete(volume)
})
await step('pause, fork and resize', async () => {
  const vm = await daytona.create({ snapshot: 'daytona-local-vm' })
  await vm.pause()
  assert.equal(vm.state, 'paused')
  await vm.start()
  const child = await vm.fork({ name: 'conf-child' })
  assert.equal(child.name, 'conf-child')
  await child.delete(60, true)
  await vm.resize({ cpu: 2 })
  assert.equal(vm.cpu, 2)
  await vm.delete(60, true)
  await assert.rejects(sandbox.pause())
})
await step('network settings', async () => {
  await sandbox.updateNetworkSettings({ networkAllowList: '10.0.0.0/8' })
  await sandbox.refreshData()
  assert.equal(sandbox.networkAllowList, '10.0.0.0/8')
})
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
