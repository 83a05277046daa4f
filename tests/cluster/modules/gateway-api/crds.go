// SPDX-License-Identifier: Apache-2.0

// Package crds keeps the module in go.mod whose config/crd has the Gateway API's definitions.
package crds

import _ "sigs.k8s.io/gateway-api/pkg/consts"
