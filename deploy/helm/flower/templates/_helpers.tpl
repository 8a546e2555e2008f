{{- define "flower.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that choose the pods of a component: (dict "root" $ "component" "api"). They never change. */}}
{{- define "flower.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "flower.labels" -}}
{{ include "flower.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "flower.image" -}}
{{- $image := merge (dict) (.own.image | default dict) .root.Values.image -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Which secrets a component is given, in order. Workers get no Postgres. */}}
{{- define "flower.secretsOf" -}}
{{- if eq .component "api" }}redisUrl databaseUrl databaseDirectUrl databaseReadUrl apiTokens linkSecret
{{- else if eq .component "projector" }}redisUrl databaseUrl databaseDirectUrl tracesHeaders
{{- else if eq .component "watcher" }}redisUrl databaseUrl databaseDirectUrl
{{- else if eq .component "migration" }}databaseUrl
{{- else }}redisUrl token{{ end }}
{{- end }}

{{- define "flower.secretEnvironment" -}}
{{- $values := .root.Values.secrets }}
{{- range $name := splitList " " (include "flower.secretsOf" .) }}
{{- if (index $values $name).name }}
- name: FLOWER_{{ snakecase $name | upper }}_FILE
  value: /run/flower/{{ kebabcase $name }}
{{- end }}
{{- end }}
{{- end }}

{{- define "flower.volumes" -}}
{{- $values := .root.Values.secrets }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .root.Values.temporarySize }}
- name: secrets
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- range $name := splitList " " (include "flower.secretsOf" .) }}
      {{- $secret := index $values $name }}
      {{- if $secret.name }}
      - secret:
          name: {{ $secret.name }}
          items: [{key: {{ $secret.key | quote }}, path: {{ kebabcase $name }}}]
      {{- end }}
      {{- end }}
{{- end }}

{{- define "flower.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /run/flower, readOnly: true}
{{- end }}

{{- define "flower.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "flower.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A Deployment: (dict "root" $ "component" name "command" "worker" "own" values "port" "http" "grace" 30 "environment" (dict ...)). */}}
{{- define "flower.deployment" -}}
{{- $root := .root }}
{{- $pod := merge (dict) (.own.pod | default dict) $root.Values.pod }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "flower.name" $root }}-{{ .component }}
  labels: {{- include "flower.labels" . | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .own.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels: {{- include "flower.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "flower.labels" . | nindent 8 }}
        {{- with $pod.labels }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with $pod.annotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false # whose variables begin with FLOWER_ where the release is called so
      terminationGracePeriodSeconds: {{ .grace }}
      securityContext: {{- include "flower.podSecurity" . | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
      {{- with index $pod $name }}
      {{ $name }}: {{ if kindIs "string" . }}{{ . }}{{ else }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- end }}
      {{- end }}
      containers:
        - name: {{ .command }}
          image: {{ include "flower.image" . }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .command }}]
          securityContext: {{- include "flower.containerSecurity" . | nindent 12 }}
          env:
            {{- include "flower.secretEnvironment" . | nindent 12 }}
            - {name: FLOWER_METRICS_PORT, value: {{ $root.Values.metricsPort | quote }}}
            - {name: FLOWER_METRICS_HOST, value: "0.0.0.0"}
            {{- range $name, $value := merge (dict) (.own.settings | default dict) .environment $root.Values.settings }}
            - {name: {{ $name }}, value: {{ $value | toString | quote }}}
            {{- end }}
          ports:
            - {name: metrics, containerPort: {{ $root.Values.metricsPort }}}
            {{- if eq .port "http" }}
            - {name: http, containerPort: 8000}
            {{- end }}
          startupProbe:
            httpGet: {path: /healthz, port: {{ .port }}}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 90
          livenessProbe: # a program that blocks the event loop for less than a minute is not killed for it
            httpGet: {path: /healthz, port: {{ .port }}}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: {{ .port }}}
            periodSeconds: 10
            timeoutSeconds: 5
          {{- with .own.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts: {{- include "flower.mounts" . | nindent 12 }}
      volumes: {{- include "flower.volumes" . | nindent 8 }}
{{- end }}
