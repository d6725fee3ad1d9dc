{{- define "reconciler.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "reconciler.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "reconciler.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "reconciler.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped objects of two releases must not have one name. */}}
{{- define "reconciler.clustername" -}}
{{- printf "%s:%s" .Release.Namespace (include "reconciler.fullname" .) -}}
{{- end -}}

{{- define "reconciler.selector" -}}
app.kubernetes.io/name: {{ include "reconciler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "reconciler.labels" -}}
{{ include "reconciler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "reconciler.serviceaccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "reconciler.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the service account, or let it be created (serviceAccount.create)" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "reconciler.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* "true" when one of the clusters is reached as the Pod itself, so that it needs its token. */}}
{{- define "reconciler.incluster" -}}
{{- range $name, $cluster := .Values.clusters -}}{{- if $cluster.inCluster -}}true{{- end -}}{{- end -}}
{{- end -}}

{{/* The settings file. */}}
{{- define "reconciler.settings" -}}
{{- $url := required "repo.url: the env repo's address is needed" .Values.repo.url -}}
{{- if not .Values.clusters -}}{{- fail "clusters: name at least one cluster of fleet.yaml and how it is reached" -}}{{- end -}}
{{- $repo := dict "url" $url "branch" .Values.repo.branch "path" .Values.repo.path -}}
{{- $credentials := .Values.repo.credentials -}}
{{- $keys := compact (list $credentials.tokenKey $credentials.sshKey $credentials.knownHostsKey $credentials.caKey $credentials.allowedSignersKey) -}}
{{- if and $credentials.secret (not $keys) -}}{{- fail "repo.credentials: say under which keys of the Secret the parts are (tokenKey, sshKey, knownHostsKey, caKey, allowedSignersKey)" -}}{{- end -}}
{{- if and $keys (not $credentials.secret) -}}{{- fail "repo.credentials.secret: name the Secret that has these keys" -}}{{- end -}}
{{- $files := dict "token_file" "tokenKey" "ssh_key_file" "sshKey" "known_hosts_file" "knownHostsKey" "ca_file" "caKey" "allowed_signers_file" "allowedSignersKey" -}}
{{- range $setting, $value := $files -}}
{{- $key := index $credentials $value -}}
{{- if $key -}}{{- $_ := set $repo $setting (printf "/etc/reconciler/repo/%s" $key) -}}{{- end -}}
{{- end -}}
{{- $clusters := dict -}}
{{- range $name, $cluster := .Values.clusters -}}
{{- $way := dict -}}
{{- if $cluster.inCluster -}}
{{- $_ := set $way "in_cluster" true -}}
{{- else -}}
{{- $_ := set $way "kubeconfig" (printf "/etc/reconciler/clusters/%s/kubeconfig" $name) -}}
{{- if $cluster.context -}}{{- $_ := set $way "context" $cluster.context -}}{{- end -}}
{{- end -}}
{{- if $cluster.uid -}}{{- $_ := set $way "uid" $cluster.uid -}}{{- end -}}
{{- $_ := set $clusters $name $way -}}
{{- end -}}
{{- $made := dict "repo" $repo "clusters" $clusters "mode" .Values.mode "namespace" .Release.Namespace -}}
{{- $_ := set $made "bootstrap" .Values.rbac.bootstrap -}}
{{- $_ := set $made "listen" (printf "0.0.0.0:%d" (int .Values.board.port)) -}}
{{- $_ := set $made "probes_listen" (printf "0.0.0.0:%d" (int .Values.probes.port)) -}}
{{- $_ := set $made "state_dir" "/var/lib/reconciler" -}}
{{- $_ := set $made "log_format" "json" -}}
{{- if .Values.forge.url -}}
{{- $token := .Values.forge.credentials -}}
{{- if not (and $token.secret $token.tokenKey) -}}{{- fail "forge.credentials: name the Secret that holds the forge's token, and its key (secret, tokenKey)" -}}{{- end -}}
{{- $forge := dict "kind" .Values.forge.kind "url" .Values.forge.url "token_file" (printf "/etc/reconciler/forge/%s" $token.tokenKey) -}}
{{- if $token.caKey -}}{{- $_ := set $forge "ca_file" (printf "/etc/reconciler/forge/%s" $token.caKey) -}}{{- end -}}
{{- $_ := set $made "forge" $forge -}}
{{- else if .Values.forge.credentials.secret -}}{{- fail "forge.url: give the env repo's page at the forge" -}}
{{- end -}}
{{- $registries := dict -}}
{{- range $address, $registry := .Values.registries -}}
{{- $way := dict -}}
{{- $folder := printf "/etc/reconciler/registries/%s" (replace ":" "_" $address) -}}
{{- if $registry.secret -}}{{- $_ := set $way "config_file" (printf "%s/config.json" $folder) -}}{{- end -}}
{{- if $registry.caKey -}}
{{- if not $registry.secret -}}{{- fail (printf "registries.%s.secret: name the Secret that has this caKey" $address) -}}{{- end -}}
{{- $_ := set $way "ca_file" (printf "%s/ca.crt" $folder) -}}
{{- end -}}
{{- $_ := set $registries $address $way -}}
{{- end -}}
{{- if $registries -}}{{- $_ := set $made "registries" $registries -}}{{- end -}}
{{- $gates := dict -}}
{{- range $name, $gate := .Values.gates -}}
{{- $made := dict "url" $gate.url "secret_file" (printf "/etc/reconciler/gates/%s/%s" $name (default "secret" $gate.key)) -}}
{{- if $gate.caKey -}}{{- $_ := set $made "ca_file" (printf "/etc/reconciler/gates/%s/%s" $name $gate.caKey) -}}{{- end -}}
{{- $_ := set $gates $name $made -}}
{{- end -}}
{{- if $gates -}}{{- $_ := set $made "gates" $gates -}}{{- end -}}
{{- if .Values.home -}}{{- $_ := set $made "home" .Values.home -}}{{- end -}}
{{- mergeOverwrite $made (deepCopy .Values.settings) | toYaml -}}
{{- end -}}
