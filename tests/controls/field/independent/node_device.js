// A BACnet device by node-bacnet: a temperature and a damper with sixteen slots. Arguments: port, instance.
const Bacnet = require('node-bacnet');
const [port, instance] = process.argv.slice(2).map(Number);
const {ApplicationTag: tag, ConfirmedServiceChoice: service, ErrorClass, ErrorCode, ObjectType, PropertyIdentifier: property} = Bacnet.enum;
const ALL = 0xffffffff;

const text = value => [{type: tag.CHARACTER_STRING, value}];
const number = value => [{type: tag.UNSIGNED_INTEGER, value}];
const flags = [{type: tag.BIT_STRING, value: {value: [0], bitsUsed: 4}}];
const units = {percent: 98, celsius: 62};
const slots = Array(16).fill(null);
const real = value => value === null ? {type: tag.NULL, value: null} : {type: tag.REAL, value};
const ruling = () => slots.findIndex(slot => slot !== null);
const own = () => [[8, instance], [ObjectType.ANALOG_INPUT, 0], [ObjectType.ANALOG_OUTPUT, 0]]
  .map(([type, n]) => ({type: tag.OBJECTIDENTIFIER, value: {type, instance: n}}));

const things = {
  [`8,${instance}`]: {
    [property.OBJECT_IDENTIFIER]: () => own().slice(0, 1),
    [property.OBJECT_NAME]: () => text('node box'),
    [property.VENDOR_NAME]: () => text('node-bacnet'),
    [property.MAX_APDU_LENGTH_ACCEPTED]: () => number(1476),
    [property.OBJECT_LIST]: own,
  },
  [`${ObjectType.ANALOG_INPUT},0`]: {
    [property.OBJECT_NAME]: () => text('zn_t'),
    [property.DESCRIPTION]: () => text('room temperature'),
    [property.UNITS]: () => [{type: tag.ENUMERATED, value: units.celsius}],
    [property.PRESENT_VALUE]: () => [real(22.5)],
    [property.STATUS_FLAGS]: () => flags,
  },
  [`${ObjectType.ANALOG_OUTPUT},0`]: {
    [property.OBJECT_NAME]: () => text('dmp'),
    [property.DESCRIPTION]: () => text('damper'),
    [property.UNITS]: () => [{type: tag.ENUMERATED, value: units.percent}],
    [property.PRESENT_VALUE]: () => [real(ruling() < 0 ? 10 : slots[ruling()])],
    [property.STATUS_FLAGS]: () => flags,
    [property.PRIORITY_ARRAY]: () => slots.map(real),
  },
};

// What stands in a property, or what kind of thing is not there.
function held(object, {id, index}) {
  const thing = things[object.type === 8 && object.instance === 4194303 ? `8,${instance}` : `${object.type},${object.instance}`];
  if (!thing) return {failed: [ErrorClass.OBJECT, ErrorCode.UNKNOWN_OBJECT]};
  if (!thing[id]) return {failed: [ErrorClass.PROPERTY, ErrorCode.UNKNOWN_PROPERTY]};
  const values = thing[id]();
  if (index === undefined || index === ALL) return {values};
  return index === 0 ? {values: number(values.length)} : {values: [values[index - 1]]};
}

const device = new Bacnet({port, interface: '127.0.0.1', broadcastAddress: '127.255.255.255'});
device.on('listening', () => console.log('ready'));
device.on('whoIs', ({header}) => device.iAmResponse(header.sender, instance, 3, 999));
device.on('readProperty', ({header, invokeId, payload}) => {
  const {failed, values} = held(payload.objectId, payload.property);
  if (failed) device.errorResponse(header.sender, service.READ_PROPERTY, invokeId, ...failed);
  else device.readPropertyResponse(header.sender, invokeId, payload.objectId, payload.property, values);
});
device.on('readPropertyMultiple', ({header, invokeId, payload}) => {
  const rows = payload.properties.map(({objectId, properties}) => ({objectId, values: properties.map(asked => {
    const {failed, values} = held(objectId, asked);
    const error = failed && [{value: {type: 'BacnetError', errorClass: failed[0], errorCode: failed[1]}}];
    return {property: asked, value: error || values};
  })}));
  device.readPropertyMultipleResponse(header.sender, invokeId, rows);
});
device.on('writeProperty', ({header, invokeId, payload}) => {
  const {objectId, value: {property: asked, value: [written], priority}} = payload;
  if (objectId.type !== ObjectType.ANALOG_OUTPUT || asked.id !== property.PRESENT_VALUE)
    return device.errorResponse(header.sender, service.WRITE_PROPERTY, invokeId, ErrorClass.PROPERTY, ErrorCode.WRITE_ACCESS_DENIED);
  slots[priority - 1] = written.value === undefined ? null : written.value;
  device.simpleAckResponse(header.sender, service.WRITE_PROPERTY, invokeId);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));  // whoever started us has closed our input
