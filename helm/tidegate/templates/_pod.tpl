{{- define "tidegate.arguments" -}}
- run
- --kubernetes
- --run-dir=/run/tidegate
- --metrics={{ .Values.metrics.address }}:{{ .Values.metrics.port }}
- --controller-name={{ .Values.controllerName }}
{{- range .Values.watchNamespaces }}
- --watch-namespace={{ . }}
{{- end }}
- --lease-name={{ include "tidegate.fullname" . }}
- --owner={{ include "tidegate.resource" . }}/{{ include "tidegate.fullname" . }}
{{- if eq (include "tidegate.serviceMode" .) "PerGateway" }}
{{- $selector := list }}
{{- range $key, $value := include "tidegate.selectorLabels" . | fromYaml }}
{{- $selector = append $selector (printf "%s=%s" $key $value) }}
{{- end }}
- --gateway-services={{ join "," $selector }}
- --gateway-ports={{ .Values.service.targetPorts.first }}-{{ .Values.service.targetPorts.last }}
- {{ printf "--gateway-service=%s" (include "tidegate.gatewayService" .) | quote }}
{{- end }}
{{- with include "tidegate.addressService" . }}
- --address-service={{ . }}
{{- end }}
{{- if eq (include "tidegate.serviceMode" .) "Pool" }}
{{- range .Values.service.addressPool }}
- --address-pool={{ . }}
{{- end }}
{{- end }}
{{- if not .Values.haproxy.container.enabled }}
{{- /* HAProxy is gone before it is killed. */}}
- --stop-timeout={{ max 0 (sub .Values.terminationGracePeriodSeconds (add .Values.drainSeconds 5)) }}
{{- end }}
{{- if .Values.hostNetwork }}
- --drain={{ .Values.drainSeconds }}
{{- /* HAProxy's user by default, who has no right to ports below 1024 without root's to become it */}}
- --user=root
{{- end }}
- --log-level={{ .Values.logLevel }}
- --log-format={{ .Values.logFormat }}
{{- if .Values.accessLog }}
- --access-log
{{- end }}
{{- with .Values.haproxy.threads }}
- --threads={{ . }}
{{- end }}
{{- with .Values.haproxy.maxconn }}
- --maxconn={{ int . }}
{{- end }}
{{- if not (kindIs "invalid" .Values.haproxy.spareBackends) }}
- --spare-backends={{ int .Values.haproxy.spareBackends }}
{{- end }}
{{- if .Values.haproxy.container.enabled }}
- --external
{{- else }}
{{- with .Values.agent.threads }}
- --agent-threads={{ . }}
{{- end }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidegate.podSecurityContext" -}}
{{- $context := dict "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "runAsNonRoot" true
  "seccompProfile" (dict "type" "RuntimeDefault")
  "sysctls" (list (dict "name" "net.ipv4.ip_unprivileged_port_start" "value" "0")) }}
{{- if .Values.hostNetwork }}
{{- $context = dict "runAsUser" 0 "runAsGroup" 0 "runAsNonRoot" false "seccompProfile" $context.seccompProfile }}
{{- end }}
{{- toYaml (mergeOverwrite $context .Values.podSecurityContext) }}
{{- end }}

{{- define "tidegate.securityContext" -}}
{{- $capabilities := dict "drop" (list "ALL") }}
{{- if .Values.hostNetwork }}
{{- $capabilities = set $capabilities "add" (list "NET_BIND_SERVICE") }}
{{- end }}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" $capabilities }}
{{- toYaml (mergeOverwrite $context .Values.securityContext) }}
{{- end }}

{{- /* (list $ NAME DEFAULT): an entry of the container, unless it is disabled. */}}
{{- define "tidegate.probe" -}}
{{- $values := index (index . 0).Values (index . 1) }}
{{- if ne (toString $values.enabled) "false" }}
{{ index . 1 }}: {{- mergeOverwrite (index . 2) (omit $values "enabled") | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tidegate.topologySpread" -}}
{{- $selector := dict "matchLabels" (include "tidegate.selectorLabels" . | fromYaml) }}
{{- $spread := list }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- $spread = append $spread (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $selector) }}
{{- end }}
{{- if not (kindIs "invalid" .Values.topologySpreadConstraints) }}
{{- $spread = .Values.topologySpreadConstraints }}
{{- end }}
{{- toYaml $spread }}
{{- end }}

{{- define "tidegate.listenerPorts" }}
{{- if not (or .Values.hostNetwork (eq (include "tidegate.serviceMode" .) "PerGateway")) }}
{{- /* There, each would be a port that the scheduler keeps free of other pods, ours too; here they
       are not what is bound. */}}
{{- range .Values.listeners }}
- name: {{ .name }}
  containerPort: {{ .port }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where somebody asks /readyz instead of Kubernetes, tidegate says it there: --drain. Elsewhere
       it stays 200, since Services send requests to pods that end while no others are there, but not
       to those that are not ready. */}}
{{- define "tidegate.drain" }}
{{- with ternary 0 .Values.drainSeconds .Values.hostNetwork }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- end }}

{{- /* What is the same in every container: (list $ RESOURCES). */}}
{{- define "tidegate.confined" }}
{{- with index . 1 }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "tidegate.securityContext" (index . 0) | nindent 2 }}
{{- end }}

{{- /* HAProxy of somebody else's image. Whether it serves is what tidegate's readiness says. */}}
{{- define "tidegate.haproxyContainer" -}}
{{- $arguments := list "haproxy.sh" "/run/tidegate" }}
{{- /* Else it has a line for each server that is touched; but quiet, it closes its output. */}}
{{- if not (or .Values.accessLog (eq .Values.logLevel "debug")) }}
{{- $arguments = append $arguments "-q" }}
{{- end -}}
name: haproxy
image: {{ .Values.haproxy.container.image }}
imagePullPolicy: {{ .Values.haproxy.container.imagePullPolicy }}
command: [sh, -c]
args: {{- prepend $arguments (.Files.Get "files/haproxy.sh") | toYaml | nindent 0 }}
{{- $ports := include "tidegate.listenerPorts" . }}
{{- with $ports }}
ports: {{- . }}
{{- end }}
{{- include "tidegate.drain" . }}
{{- include "tidegate.confined" (list . .Values.haproxy.container.resources) }}
volumeMounts:
- name: run
  mountPath: /run/tidegate
{{- end }}

{{- /* A sidecar: there before HAProxy, and ended after it, which asks it until its last request. */}}
{{- define "tidegate.agentContainer" -}}
name: agent
image: {{ include "tidegate.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
restartPolicy: Always
command: [tidegate-spoa]
args:
- --listen=unix@/run/tidegate/agent.sock
- --stats-socket=/run/tidegate/agent-stats.sock
- --threads={{ .Values.agent.threads | default 1 }}
- --log-format={{ .Values.logFormat }}
livenessProbe:
  exec:
    command: [tidegate-spoa, --check=/run/tidegate/agent-stats.sock]
  periodSeconds: 10
  timeoutSeconds: 5
{{- include "tidegate.confined" (list . .Values.agent.resources) }}
volumeMounts:
- name: run
  mountPath: /run/tidegate
{{- end }}

{{- define "tidegate.container" -}}
{{- $health := dict "httpGet" (dict "path" "/healthz" "port" "metrics") }}
{{- $ready := dict "httpGet" (dict "path" "/readyz" "port" "metrics") -}}
name: tidegate
image: {{ include "tidegate.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: {{- include "tidegate.arguments" . | nindent 0 }}
{{- with .Values.extraEnv }}
env: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 0 }}
{{- end }}
ports:
- name: metrics
  containerPort: {{ .Values.metrics.port }}
{{- if not .Values.haproxy.container.enabled }}
{{- include "tidegate.listenerPorts" . }}
{{- end }}
{{- include "tidegate.probe" (list . "startupProbe" (merge (dict "periodSeconds" 1 "failureThreshold" 120) $health)) }}
{{- include "tidegate.probe" (list . "livenessProbe" (merge (dict "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6) $health)) }}
{{- include "tidegate.probe" (list . "readinessProbe" (merge (dict "periodSeconds" 1 "timeoutSeconds" 2) $ready)) }}
{{- $lifecycle := get (include "tidegate.drain" . | fromYaml) "lifecycle" | default dict }}
{{- range $when, $handler := .Values.lifecycle }}
{{- $lifecycle = set $lifecycle $when $handler }}
{{- end }}
{{- with $lifecycle }}
lifecycle: {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "tidegate.confined" (list . .Values.resources) }}
volumeMounts:
- name: run
  mountPath: /run/tidegate
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidegate.pod" -}}
metadata:
  labels: {{- merge (dict) (include "tidegate.selectorLabels" . | fromYaml) .Values.podLabels (include "tidegate.labels" . | fromYaml) | toYaml | nindent 4 }}
  annotations: {{- merge (dict "kubectl.kubernetes.io/default-container" "tidegate") .Values.podAnnotations .Values.commonAnnotations | toYaml | nindent 4 }}
spec:
  serviceAccountName: {{ include "tidegate.serviceAccountName" . }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  dnsPolicy: {{ .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "ClusterFirst" .Values.hostNetwork) }}
  {{- range $field := list "imagePullSecrets" "dnsConfig" "hostAliases" "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" "schedulerName" }}
  {{- with index $.Values $field }}
  {{- dict $field . | toYaml | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- if or .Values.initContainers .Values.haproxy.container.enabled }}
  initContainers:
  {{- with .Values.initContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if .Values.haproxy.container.enabled }}
  - {{- include "tidegate.agentContainer" . | nindent 4 }}
  {{- end }}
  {{- end }}
  topologySpreadConstraints: {{- include "tidegate.topologySpread" . | nindent 4 }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext: {{- include "tidegate.podSecurityContext" . | nindent 4 }}
  containers:
  - {{- include "tidegate.container" . | nindent 4 }}
  {{- if .Values.haproxy.container.enabled }}
  - {{- include "tidegate.haproxyContainer" . | nindent 4 }}
  {{- end }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  volumes:
  # In memory: it holds certificates' keys. It outlives a restart of the container, which then
  # serves the last good plan at once.
  - name: run
    emptyDir:
      medium: Memory
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
