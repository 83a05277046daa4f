{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "tidegate.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tidegate.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Never changes in a release: a Deployment's selector cannot. */}}
{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidegate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* By which the NetworkPolicy knows the Pod of `helm test`. */}}
{{- define "tidegate.testLabels" -}}
app.kubernetes.io/component: test
tidegate.io/test-of: {{ include "tidegate.fullname" . }}
{{- end }}

{{- define "tidegate.labels" -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63)
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- $labels = include "tidegate.selectorLabels" . | fromYaml | mergeOverwrite $labels .Values.commonLabels }}
{{- toYaml $labels }}
{{- end }}

{{- /* What says more of an object than its name: (list $ LABELS ANNOTATIONS). */}}
{{- define "tidegate.described" -}}
{{- $ := index . 0 }}
{{- $annotations := merge (dict) (index . 2) $.Values.commonAnnotations -}}
labels: {{- merge (dict) (index . 1) (include "tidegate.labels" $ | fromYaml) | toYaml | nindent 2 }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The metadata of an object in the release's namespace: (list $ NAME-SUFFIX LABELS ANNOTATIONS).
       Each says its namespace, so that it has it without helm, too. */}}
{{- define "tidegate.metadata" -}}
{{- $ := index . 0 -}}
name: {{ include "tidegate.fullname" $ }}{{ index . 1 }}
namespace: {{ $.Release.Namespace }}
{{ include "tidegate.described" (list $ (index . 2) (index . 3)) }}
{{- end }}

{{- /* The name of what is not in the release's namespace, where another release may have the same
       name: a namespace has no dot. */}}
{{- define "tidegate.wideName" -}}
{{ include "tidegate.fullname" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "tidegate.serviceAccountName" -}}
{{- $default := ternary (include "tidegate.fullname" .) "default" .Values.serviceAccount.create }}
{{- default $default .Values.serviceAccount.name }}
{{- end }}

{{- define "tidegate.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* PerGateway, Shared, Pool or None. */}}
{{- define "tidegate.serviceMode" -}}
{{- .Values.service.mode | default (ternary "None" "PerGateway" .Values.hostNetwork) }}
{{- end }}

{{- /* The Service where Gateways are reached that have none of their own; empty: they are, or nobody
       knows. */}}
{{- define "tidegate.addressService" -}}
{{- $mode := include "tidegate.serviceMode" . }}
{{- if eq $mode "Shared" }}
{{- include "tidegate.fullname" . }}
{{- else if and (eq $mode "None") .Values.hostNetwork }}
{{- include "tidegate.fullname" . }}-nodes
{{- end }}
{{- end }}

{{- /* By it tidegate looks for where it is reached. */}}
{{- define "tidegate.ofGateways" -}}
tidegate.io/controller: {{ .Values.controllerName | replace "/" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- /* What Gateways' Services are like: of the values, what is set, as JSON. */}}
{{- define "tidegate.gatewayService" -}}
{{- $made := dict "labels" (merge (dict) (include "tidegate.selectorLabels" . | fromYaml) .Values.service.labels .Values.commonLabels) }}
{{- with merge (dict) .Values.service.annotations .Values.commonAnnotations }}
{{- $made = set $made "annotations" . }}
{{- end }}
{{- range $field := list "type" "externalTrafficPolicy" "internalTrafficPolicy" "ipFamilyPolicy" "ipFamilies" "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- with index $.Values.service $field }}
{{- $made = set $made $field . }}
{{- end }}
{{- end }}
{{- if kindIs "bool" .Values.service.allocateLoadBalancerNodePorts }}
{{- $made = set $made "allocateLoadBalancerNodePorts" .Values.service.allocateLoadBalancerNodePorts }}
{{- end }}
{{- toJson $made }}
{{- end }}

{{- define "tidegate.resource" -}}
{{ lower .Values.kind }}s
{{- end }}

{{- define "tidegate.selector" -}}
app.kubernetes.io/name={{ include "tidegate.name" . }},app.kubernetes.io/instance={{ .Release.Name }}
{{- end }}

{{- /* Gateways' Services go with what owns them. A leader that still runs would write itself into
       them again, so its pods have to end before it lets go of them. */}}
{{- define "tidegate.ownerCheck" -}}
{{- range (lookup "v1" "Service" .Release.Namespace "").items }}
{{- $labels := .metadata.labels | default dict }}
{{- if and (eq (get $labels "app.kubernetes.io/managed-by") "tidegate") (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) }}
{{- range .metadata.ownerReferences }}
{{- if and (has .kind (list "Deployment" "DaemonSet")) (or (ne .kind $.Values.kind) (ne .name (include "tidegate.fullname" $))) }}
{{- $kubectl := printf "    kubectl -n %s" $.Release.Namespace }}
{{- $selector := include "tidegate.selector" $ }}
{{- $commands := ternary
  (list (printf "scale deployment %s --replicas=0" .name))
  (list (printf "patch daemonset %s -p '{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"tidegate.io/none\":\"\"}}}}}'" .name))
  (eq .kind "Deployment") }}
{{- $commands = concat $commands (list
  (printf "wait pods --for=delete --timeout=5m -l %s" $selector)
  (printf "delete %s %s --cascade=orphan" (lower .kind) .name)
  (printf "delete %s -l %s" (ternary "replicasets" "controllerrevisions" (eq .kind "Deployment")) $selector)) }}
{{- $lines := list }}
{{- range $commands }}
{{- $lines = append $lines (printf "%s %s" $kubectl .) }}
{{- end }}
{{- printf "\n\nThe Services of Gateways belong to %s %s, which would be replaced: they would be deleted with it, and their addresses given back. To keep them let go of them first, and upgrade then. Nobody is served in between:\n\n%s\n" (lower .kind) .name (join "\n" $lines) | fail }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tidegate.checks" -}}
{{- $mode := include "tidegate.serviceMode" . }}
{{- if eq $mode "PerGateway" }}
{{- include "tidegate.ownerCheck" . }}
{{- end }}
{{- range $field := list "trafficDistribution" "clusterIP" "externalIPs" "loadBalancerIP" "healthCheckNodePort" "sessionAffinity" "nodePorts" "extraPorts" }}
{{- if and (ne $mode "Shared") (index $.Values.service $field) }}
{{- fail (printf "service.%s is for service.mode: Shared alone; this is %s" $field $mode) }}
{{- end }}
{{- end }}
{{- if not (.Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1/GatewayClass") }}
{{- /* `helm template` knows no cluster: what it renders may be for one that has them. */}}
{{- if lookup "v1" "Namespace" "" "default" }}
{{- fail "\n\nThis cluster does not have the Gateway API's definitions (CRDs). Install them first:\n\n    kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml\n" }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (eq .Values.kind "DaemonSet") }}
{{- fail "autoscaling.enabled: a DaemonSet has one pod a node; use kind: Deployment" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) }}
{{- fail "metrics.serviceMonitor.enabled needs metrics.service.enabled; or use metrics.podMonitor" }}
{{- end }}
{{- end }}
