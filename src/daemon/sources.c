/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sources.h"

bool sources_init(struct sources *sources, struct ev_loop *loop,
		  const struct sources_options *options, const struct source_sink *sink,
		  struct error *err)
{
	if (options->kubernetes) {
		sources->kube = kube_source_new(loop, &options->kube, sink, err);
		return sources->kube != NULL;
	}
	sources->files = files_source_new(loop, options->paths, options->path_count, sink);
	return true;
}

void sources_fini(struct sources *sources)
{
	files_source_free(sources->files);
	kube_source_free(sources->kube);
	sources->files = NULL;
	sources->kube = NULL;
}

void sources_start(struct sources *sources)
{
	if (sources->kube)
		kube_source_start(sources->kube);
	else
		files_source_start(sources->files);
}

void sources_rescan(struct sources *sources)
{
	if (sources->kube)
		kube_source_hurry(sources->kube);
	else if (sources->files)
		files_source_rescan(sources->files);
}

void sources_follow(struct sources *sources, const struct need *needs, size_t count)
{
	if (sources->kube)
		kube_source_follow(sources->kube, needs, count);
}

void sources_state(const struct sources *sources, struct source_state *ret_state)
{
	*ret_state = (struct source_state){ .complete = false };
	if (sources->kube)
		kube_source_state(sources->kube, ret_state);
	else if (sources->files)
		files_source_state(sources->files, ret_state);
}

void sources_doubt(const struct sources *sources, bool last_good, char *ret_why, size_t size)
{
	ret_why[0] = '\0';
	if (sources->kube)
		kube_source_doubt(sources->kube, last_good, ret_why, size);
	else if (sources->files && last_good)
		files_source_doubt(sources->files, ret_why, size);
}

void sources_findings(const struct sources *sources, struct findings *findings)
{
	if (sources->kube)
		kube_source_findings(sources->kube, findings);
	else if (sources->files)
		files_source_findings(sources->files, findings);
}
