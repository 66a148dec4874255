// Package helm renders the Helm chart in deploy/helm with the engine of Helm, and decodes what comes
// out strictly into the types of Kubernetes. It is a module of its own for their sake.
package helm
