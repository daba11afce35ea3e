// node-bacnet as a client: what it reads at one object, as JSON. Arguments: our port, the device's port, object type, instance.
const Bacnet = require('node-bacnet');
const [own, port, type, instance] = process.argv.slice(2).map(Number);
const client = new Bacnet({port: own, interface: '127.0.0.1', broadcastAddress: '127.255.255.255', apduTimeout: 3000});
const asked = [{objectId: {type, instance}, properties: [{id: 85}, {id: 111}]}];
client.readPropertyMultiple({address: `127.0.0.1:${port}`}, asked, (error, got) => {
  if (error) throw error;
  console.log(JSON.stringify(got.values[0].values.map(row => row.value[0].value)));
  process.exit(0);
});
