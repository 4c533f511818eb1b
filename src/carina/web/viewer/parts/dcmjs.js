// Stands for dcmjs: films come as pixels, so that no DICOM is parsed in the browser.
class Unused {}
const nothing = () => {};
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, setLevel: nothing };
export const log = { ...logger, getLogger: () => logger };
export const constants = {};
export const data = { DicomMetaDictionary: { dictionary: {}, nameMap: {} } };
export const async = { AsyncDicomReader: Unused };
export const utilities = { DicomMetadataListener: Unused };
export default { log, constants, data, async, utilities };
