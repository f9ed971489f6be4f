/*
 * JSON documents that are kept: writing, measuring, comparing.
 *
 * A document is a jansson tree of at most VALUE_DEPTH levels, so what recurses here is bounded. Any
 * thread.
 */
#ifndef FORKFUL_SERVICE_JSON_VALUE_H
#define FORKFUL_SERVICE_JSON_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "service/text.h"

#define VALUE_DEPTH 63 /* levels of arrays and objects: what fits into a body that may have 64 */

/* A finite number, so that reading it gives the same one: 0.5, 2.0, 1e+300. */
void text_json_double(struct text *text, double number);
void text_json_tree(struct text *text, const json_t *tree);

/* The bytes of its text, or a little more. The weight of an array or object is 2, the weights of
   what is in it, 1 for each (a comma) and json_key_weight of each key: so what an operation changes
   can be told without looking at the rest. */
size_t json_weight(const json_t *tree);
size_t json_key_weight(const char *key);
/* Levels of arrays and objects; 0: a scalar. */
unsigned json_depth(const json_t *tree);
/* As Python compares: 1 is 1.0, the order of keys does not count. But true is not 1. */
bool json_same(const json_t *left, const json_t *right);

#endif
