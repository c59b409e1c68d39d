/* daytona/daytona.h - all of libdaytona. */
#ifndef DAYTONA_DAYTONA_H
#define DAYTONA_DAYTONA_H

#include "daytona/access.h"
#include "daytona/cancel.h"
#include "daytona/client.h"
#include "daytona/computer.h"
#include "daytona/error.h"
#include "daytona/files.h"
#include "daytona/git.h"
#include "daytona/image.h"
#include "daytona/interpreter.h"
#include "daytona/lsp.h"
#include "daytona/process.h"
#include "daytona/pty.h"
#include "daytona/sandbox.h"
#include "daytona/secret.h"
#include "daytona/session.h"
#include "daytona/snapshot.h"
#include "daytona/volume.h"
#include "daytona/warm_pool.h"
#include "daytona/watch.h"

#endif
