// SPDX-License-Identifier: Apache-2.0

// Package conformance is the Gateway API's own conformance suite, as it is: tests/conformance/run
// says what it runs against.
package conformance

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}
